/* Makes a process fail at a chosen step of what it writes: preloaded, and told at which by disk_fail.

   A step is a call that changes files below a folder, or syncs them; LMDB's are among them. From the chosen one on,
   calls fail with an error, as on a full, read-only or broken disk; or the process is killed right before it. A large
   write may be half done by then. Not thread-safe. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { GROWS, CHANGES, SYNCS };

static char root[PATH_MAX];
static long steps, fails_at, torn;
static int failure;

/* Count from here; at step `at` (1 is the first; 0: never) be killed if error is 0, else fail from there on. */
void disk_fail(const char *folder, long at, int error, int tear) {
    strncpy(root, folder, sizeof root - 1);
    steps = 0, fails_at = at, failure = error, torn = tear;
}

/* A process started by one whose disk fails has the same disk. DISK_FAILS: the error, a blank, and the folder. */
__attribute__((constructor)) static void inherit(void) {
    const char *told = getenv("DISK_FAILS");
    char folder[PATH_MAX];
    int error;
    if (told && sscanf(told, "%d %4095[^\n]", &error, folder) == 2) disk_fail(folder, 1, error, 0);
}

long disk_steps(void) { return steps; }

static int is_below(const char *path) { return *root && !strncmp(path, root, strlen(root)); }

static int concerns(int fd) {
    char link[64], path[PATH_MAX] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return *root && readlink(link, path, sizeof path - 1) > 0 && is_below(path);
}

static int concerns_path(int folder, const char *path) {
    return *path == '/' || folder == AT_FDCWD ? is_below(path) : concerns(folder);
}

static int is_hit(enum kind kind) {
    switch (failure) {
    case 0: return 1;
    case ENOSPC: return kind == GROWS;
    case EROFS: return kind != SYNCS;
    default: return 1;
    }
}

/* Take a step. Returns whether the call must fail. */
static int fails(enum kind kind) {
    if (++steps < fails_at || !fails_at || !is_hit(kind)) return 0;
    if (!failure) kill(getpid(), SIGKILL);
    errno = failure;
    return 1;
}

#define REAL(name) static __typeof__(name) *real; if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define ON_FD(result, name, kind, parameters, arguments) \
    result name parameters { REAL(name); return concerns(fd) && fails(kind) ? -1 : real arguments; }
#define ON_PATH(name, kind, folder, parameters, arguments) \
    int name parameters { REAL(name); return concerns_path(folder, path) && fails(kind) ? -1 : real arguments; }

ON_FD(ssize_t, write, GROWS, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD(ssize_t, writev, GROWS, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_FD(ssize_t, pwritev, GROWS, (int fd, const struct iovec *parts, int count, off_t at), (fd, parts, count, at))
ON_FD(ssize_t, pwritev64, GROWS, (int fd, const struct iovec *parts, int count, off64_t at), (fd, parts, count, at))
ON_FD(int, ftruncate, GROWS, (int fd, off_t size), (fd, size))
ON_FD(int, ftruncate64, GROWS, (int fd, off64_t size), (fd, size))
ON_FD(int, fsync, SYNCS, (int fd), (fd))
ON_FD(int, fdatasync, SYNCS, (int fd), (fd))
ON_PATH(mkdir, GROWS, AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ON_PATH(rmdir, CHANGES, AT_FDCWD, (const char *path), (path))
ON_PATH(unlink, CHANGES, AT_FDCWD, (const char *path), (path))
ON_PATH(unlinkat, CHANGES, folder, (int folder, const char *path, int flags), (folder, path, flags))
ON_PATH(rename, CHANGES, AT_FDCWD, (const char *path, const char *to), (path, to))

/* LMDB's last step: the page that makes a change count. Fails once if the file exists that DISK_FAILS_LAST names. */
static int fails_last(size_t size) {
    const char *mark = getenv("DISK_FAILS_LAST");
    if (!mark || size > 512 || unlink(mark)) return 0;
    errno = EIO;
    return 1;
}

#define PWRITE(name, offset) \
    ssize_t name(int fd, const void *data, size_t size, offset at) { \
        REAL(name); \
        if (fails_last(size)) return -1; \
        if (!concerns(fd)) return real(fd, data, size, at); \
        /* Nothing smaller than a sector is ever half written. */ \
        if (torn && steps + 1 == fails_at && size > 512) real(fd, data, size / 1024 * 512, at); \
        return fails(GROWS) ? -1 : real(fd, data, size, at); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

static int refuses(int folder, const char *path, int flags) {
    if ((flags & O_ACCMODE) == O_RDONLY || !concerns_path(folder, path)) return 0;
    if (flags & O_TRUNC || (flags & O_CREAT && faccessat(folder, path, F_OK, 0))) return fails(GROWS);
    /* Not a step; but a read-only disk refuses it. */
    if (failure != EROFS || !fails_at || steps + 1 < fails_at) return 0;
    errno = failure;
    return 1;
}

#define OPEN(name, folder, parameters, ...) \
    int name parameters { \
        REAL(name); \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return refuses(folder, path, flags) ? -1 : real(__VA_ARGS__, mode); \
    }
OPEN(open, AT_FDCWD, (const char *path, int flags, ...), path, flags)
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), path, flags)
OPEN(openat, folder, (int folder, const char *path, int flags, ...), folder, path, flags)
OPEN(openat64, folder, (int folder, const char *path, int flags, ...), folder, path, flags)
