export const SERVICE_CONFIG = {
  "loadBalancingConfig": [{ "round_robin": {} }],
  "methodConfig": [
    {
      "name": [
        { "service": "nearhash.v1.LookupService" },
        { "service": "nearhash.v1.BankService", "method": "ApplyChanges" },
        { "service": "nearhash.v1.BankService", "method": "ListBanks" },
        { "service": "nearhash.v1.BankService", "method": "ListGenerations" },
        { "service": "nearhash.v1.BankService", "method": "GetStatus" },
        { "service": "nearhash.v1.BankService", "method": "GetEntry" },
        { "service": "nearhash.v1.BankService", "method": "ListQuarantine" },
        { "service": "nearhash.v1.BankService", "method": "ListAudit" },
        { "service": "nearhash.v1.BankService", "method": "EstimateMatches" }
      ],
      "retryPolicy": {
        "maxAttempts": 5,
        "initialBackoff": "0.1s",
        "backoffMultiplier": 3,
        "maxBackoff": "2s",
        "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"]
      }
    }
  ],
  "retryThrottling": { "maxTokens": 1000, "tokenRatio": 0.1 }
};
