package io.egressproxy.settings;

import io.egressproxy.ProxyUrl;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.NestedConfigurationProperty;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.convert.DurationUnit;

/**
 * What one connection type of one exchange, or of the default, uses. An entry that names neither a proxy nor a pool nor
 * {@code direct} inherits the default's; it never means "direct".
 *
 * @param url Proxy to use, for example socks5://user:password@proxy.example.org:1080. Schemes are http, https, socks4,
 *     socks4a and socks5.
 * @param timeoutSeconds Seconds that connecting to the proxy and its handshake may take together, 1 to 300; 30 if nothing
 *     is given.
 * @param direct Whether these connections are made without a proxy, on purpose.
 * @param sslBundle SSL bundle that says which certificates of an https proxy are trusted, and which key to show it. The
 *     JVM's trust if nothing is given.
 * @param pool Proxies to choose from, instead of one url.
 * @param poolEnabled Whether the pool is used; if not, the url is, or else the first proxy of the pool.
 * @param strategy How a proxy is chosen from the pool; round_robin, random, least_connections or the name of a bean.
 * @param maxAttempts Distinct proxies of the pool that are tried for one connection.
 * @param attemptTimeout Time that one proxy gets while others are left to try, in seconds if no unit is given.
 * @param onExhausted What happens when no proxy of the pool is usable.
 * @param healthCheck How the proxies are checked.
 * @param circuitBreaker When a proxy that fails connections is left out.
 */
public record ProxyEntry(
        @Nullable ProxyUrl url,
        @Nullable Integer timeoutSeconds,
        @DefaultValue("false") boolean direct,
        @Nullable String sslBundle,
        @Nullable List<PoolMember> pool,
        @Nullable Boolean poolEnabled,
        @DefaultValue("round_robin") String strategy,
        @DefaultValue("3") int maxAttempts,
        @DefaultValue("5s") @DurationUnit(ChronoUnit.SECONDS) Duration attemptTimeout,
        @DefaultValue("last_resort") OnExhausted onExhausted,
        @NestedConfigurationProperty @DefaultValue HealthCheckSettings healthCheck,
        @NestedConfigurationProperty @DefaultValue CircuitBreakerSettings circuitBreaker) {

    /** How long connecting to a proxy and its handshake may take if nothing else is configured. */
    public static final Duration DEFAULT_TIMEOUT = Duration.ofSeconds(30);

    /** What a proxy gets while others are left to try, if nothing else is said. */
    public static final Duration DEFAULT_ATTEMPT_TIMEOUT = Duration.ofSeconds(5);

    /** An entry with every list copied. */
    public ProxyEntry {
        pool = pool == null ? null : List.copyOf(pool);
    }

    /**
     * An entry for one proxy.
     *
     * @param url the proxy
     * @return the entry, everything else as by default
     */
    public static ProxyEntry of(ProxyUrl url) {
        return of(url, null, false);
    }

    /**
     * An entry for one proxy with a time limit.
     *
     * @param url the proxy
     * @param timeoutSeconds 1 to 300, for connecting to it and its handshake together
     * @return the entry, everything else as by default
     */
    public static ProxyEntry of(ProxyUrl url, int timeoutSeconds) {
        return of(url, timeoutSeconds, false);
    }

    /**
     * An entry for connections that use no proxy, on purpose.
     *
     * @return the entry
     */
    public static ProxyEntry directly() {
        return of(null, null, true);
    }

    private static ProxyEntry of(@Nullable ProxyUrl url, @Nullable Integer timeoutSeconds, boolean direct) {
        return new ProxyEntry(
                url,
                timeoutSeconds,
                direct,
                null,
                null,
                null,
                "round_robin",
                3,
                DEFAULT_ATTEMPT_TIMEOUT,
                OnExhausted.LAST_RESORT,
                HealthCheckSettings.DEFAULTS,
                CircuitBreakerSettings.DEFAULTS);
    }

    /**
     * Whether connections go through the pool.
     *
     * @return true if there is a pool with an enabled proxy and it is not switched off
     */
    public boolean usesPool() {
        return pool != null
                && !Boolean.FALSE.equals(poolEnabled)
                && pool.stream().anyMatch(PoolMember::enabled);
    }

    /**
     * Whether the default's entry applies instead of this one.
     *
     * @return true if this entry names no usable proxy and does not say {@code direct}
     */
    public boolean inherits() {
        return !direct && !usesPool() && single() == null;
    }

    /**
     * The one proxy to use where no pool is.
     *
     * @return the url, or the first enabled proxy of a pool that is switched off; null if there is none
     */
    public @Nullable PoolMember single() {
        if (usesPool()) {
            return null;
        }
        if (url != null) {
            return new PoolMember(url, timeoutSeconds, 1, true, null, sslBundle);
        }
        return pool == null
                ? null
                : pool.stream().filter(PoolMember::enabled).findFirst().orElse(null);
    }
}
