package io.egressproxy.settings;

import java.net.URI;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.NestedConfigurationProperty;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.convert.DurationUnit;
import org.springframework.util.unit.DataSize;

/**
 * A service that is asked for proxies.
 *
 * @param enabled Whether the service is asked.
 * @param endpoints Comma-separated list of the service's URLs.
 * @param discovery How further endpoints are found.
 * @param authMethod How the application proves who it is.
 * @param authCredentials What it proves it with.
 * @param sslBundle SSL bundle with the certificates the service is trusted by, and the key for mutual TLS.
 * @param allowInsecureHttp Whether http endpoints are allowed that are not on this machine.
 * @param clientId Name of this application instance; made from spring.application.name and a random part if empty.
 * @param region Region that is asked for by exchanges that have none of their own.
 * @param timeoutSeconds Seconds that one exchange with the service may take, 1 to 60.
 * @param fallbackAfter Time that a connection waits for the service before the fallback serves it, in seconds if no unit is
 *     given.
 * @param fallbackToEmbedded Whether the embedded proxies serve while the service does not.
 * @param cacheTtlSeconds Seconds for which an answer is kept that does not say so itself, 60 to 3600.
 * @param minTtlSeconds Shortest time to live in seconds that an answer may ask for, 0 to 3600.
 * @param cache How answers are kept.
 * @param circuitBreakerEnabled Whether a failing service is left alone for a while.
 * @param retry How failed requests are repeated in the background.
 * @param healthCheck How the endpoints are checked.
 * @param allowedProxyHosts Comma-separated list of host suffixes or CIDRs that an answer's proxy must match; any if empty.
 * @param feedback How outcomes are reported to the service.
 * @param rolloutPercent Share of exchanges that ask the service, 0 to 100.
 */
public record ExternalServiceSettings(
        @DefaultValue("false") boolean enabled,
        @DefaultValue List<String> endpoints,
        @NestedConfigurationProperty @DefaultValue Discovery discovery,
        @DefaultValue("bearer_token") AuthMethod authMethod,
        @NestedConfigurationProperty @DefaultValue AuthCredentials authCredentials,
        @Nullable String sslBundle,
        @DefaultValue("false") boolean allowInsecureHttp,
        @DefaultValue("") String clientId,
        @DefaultValue("") String region,
        @DefaultValue("10") int timeoutSeconds,
        @DefaultValue("800ms") @DurationUnit(ChronoUnit.SECONDS) Duration fallbackAfter,
        @DefaultValue("true") boolean fallbackToEmbedded,
        @DefaultValue("300") int cacheTtlSeconds,
        @DefaultValue("60") int minTtlSeconds,
        @NestedConfigurationProperty @DefaultValue Cache cache,
        @DefaultValue("true") boolean circuitBreakerEnabled,
        @NestedConfigurationProperty @DefaultValue Retry retry,
        @NestedConfigurationProperty @DefaultValue HealthCheck healthCheck,
        @DefaultValue List<HostPattern> allowedProxyHosts,
        @NestedConfigurationProperty @DefaultValue Feedback feedback,
        @DefaultValue("100") int rolloutPercent) {

    static final ExternalServiceSettings DISABLED = new ExternalServiceSettings(
            false,
            List.of(),
            new Discovery(null, Duration.ofSeconds(30)),
            AuthMethod.BEARER_TOKEN,
            new AuthCredentials(null, null),
            null,
            false,
            "",
            "",
            10,
            Duration.ofMillis(800),
            true,
            300,
            60,
            new Cache(10_000, true, Duration.ZERO, List.of()),
            true,
            new Retry(3, Duration.ofMillis(500), Duration.ofSeconds(30), 2, 1),
            new HealthCheck(true, "/health", Duration.ofSeconds(1), Duration.ofSeconds(1)),
            List.of(),
            new Feedback(
                    true,
                    4096,
                    256,
                    Duration.ofSeconds(5),
                    Duration.ofMillis(250),
                    DataSize.ofKilobytes(1),
                    Duration.ofMinutes(5),
                    Duration.ofSeconds(2)),
            100);

    /**
     * Whether what is sent to an endpoint stays between it and us.
     *
     * @param endpoint an endpoint with a host
     * @return true for https and for this machine
     */
    public static boolean isConfidential(URI endpoint) {
        String host = endpoint.getHost();
        return "https".equalsIgnoreCase(endpoint.getScheme())
                || HostPattern.LOOPBACK.stream().anyMatch(own -> own.matches(host));
    }

    /** Settings with every collection copied. */
    public ExternalServiceSettings {
        endpoints = List.copyOf(endpoints);
        allowedProxyHosts = List.copyOf(allowedProxyHosts);
    }

    /** How the application proves who it is to the service. */
    public enum AuthMethod {
        /** {@code Authorization: Bearer}. */
        BEARER_TOKEN,
        /** {@code X-API-Key}. */
        API_KEY,
        /** A client certificate. */
        MUTUAL_TLS
    }

    /**
     * What the application proves itself with; never shown.
     *
     * @param token Token for auth-method bearer_token.
     * @param apiKey Key for auth-method api_key.
     */
    public record AuthCredentials(@Nullable String token, @Nullable String apiKey) {
        @Override
        public String toString() {
            return "AuthCredentials[token=" + masked(token) + ", apiKey=" + masked(apiKey) + "]";
        }

        private static String masked(@Nullable String secret) {
            return secret == null ? "none" : "***";
        }
    }

    /**
     * How further endpoints are found.
     *
     * @param srvName DNS SRV name, for example _proxy-service._tcp.example.org.
     * @param refreshInterval Time between two look-ups, in seconds if no unit is given.
     */
    public record Discovery(
            @Nullable String srvName,
            @DefaultValue("30s") @DurationUnit(ChronoUnit.SECONDS) Duration refreshInterval) {}

    /**
     * How answers are kept.
     *
     * @param maxEntries Answers that are kept at most.
     * @param refreshAhead Whether an answer in use is renewed in the background before it expires.
     * @param staleIfError Time for which an expired answer still serves while the service is away, in seconds if no unit is
     *     given.
     * @param warmUp Comma-separated list of exchanges that are asked for at start.
     */
    public record Cache(
            @DefaultValue("10000") int maxEntries,
            @DefaultValue("true") boolean refreshAhead,
            @DefaultValue("0s") @DurationUnit(ChronoUnit.SECONDS) Duration staleIfError,
            @DefaultValue List<String> warmUp) {

        /** Settings with every collection copied. */
        public Cache {
            warmUp = List.copyOf(warmUp);
        }
    }

    /**
     * How failed requests are repeated in the background.
     *
     * @param maxAttempts Requests in all.
     * @param initialBackoff First pause, in seconds if no unit is given.
     * @param maxBackoff Longest pause, in seconds if no unit is given.
     * @param multiplier Factor from one pause to the next.
     * @param jitter Share of the pause that is random, 0 to 1.
     */
    public record Retry(
            @DefaultValue("3") int maxAttempts,
            @DefaultValue("500ms") @DurationUnit(ChronoUnit.SECONDS) Duration initialBackoff,
            @DefaultValue("30s") @DurationUnit(ChronoUnit.SECONDS) Duration maxBackoff,
            @DefaultValue("2") double multiplier,
            @DefaultValue("1.0") double jitter) {}

    /**
     * How the endpoints are checked.
     *
     * @param enabled Whether endpoints are checked.
     * @param path Path that is asked for; any answer below 500 means reachable.
     * @param interval Time between two checks, in seconds if no unit is given.
     * @param timeout Time that one check may take, in seconds if no unit is given.
     */
    public record HealthCheck(
            @DefaultValue("true") boolean enabled,
            @DefaultValue("/health") String path,
            @DefaultValue("1s") @DurationUnit(ChronoUnit.SECONDS) Duration interval,
            @DefaultValue("1s") @DurationUnit(ChronoUnit.SECONDS) Duration timeout) {}

    /**
     * How outcomes are reported to the service.
     *
     * @param enabled Whether outcomes are reported.
     * @param queueCapacity Reports that wait at most.
     * @param batchSize Reports that are sent at once at most.
     * @param flushInterval Longest time that a success waits, in seconds if no unit is given.
     * @param urgentFlushInterval Longest time that a failure waits, in seconds if no unit is given.
     * @param compressAbove Size of a report above which it is compressed.
     * @param maxAge Age above which a report is not sent any more, in seconds if no unit is given.
     * @param shutdownTimeout Time that waiting reports get at shutdown, in seconds if no unit is given.
     */
    public record Feedback(
            @DefaultValue("true") boolean enabled,
            @DefaultValue("4096") int queueCapacity,
            @DefaultValue("256") int batchSize,
            @DefaultValue("5s") @DurationUnit(ChronoUnit.SECONDS) Duration flushInterval,
            @DefaultValue("250ms") @DurationUnit(ChronoUnit.SECONDS) Duration urgentFlushInterval,
            @DefaultValue("1KB") DataSize compressAbove,
            @DefaultValue("5m") @DurationUnit(ChronoUnit.SECONDS) Duration maxAge,
            @DefaultValue("2s") @DurationUnit(ChronoUnit.SECONDS) Duration shutdownTimeout) {}
}
