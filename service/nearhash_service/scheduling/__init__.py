"""When a call is answered: the threads of its kind, its turn, its share, or a refusal."""
