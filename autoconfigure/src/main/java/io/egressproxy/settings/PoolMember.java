package io.egressproxy.settings;

import io.egressproxy.ProxyUrl;
import java.time.Duration;
import java.time.temporal.ChronoUnit;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.convert.DurationUnit;

/**
 * One proxy of a pool.
 *
 * @param url Proxy to use, for example socks5://user:password@proxy.example.org:1080.
 * @param timeoutSeconds Seconds that connecting to this proxy and its handshake may take together, 1 to 300; the pool's if
 *     nothing is given.
 * @param weight Share of this proxy among the others, 0.1 to 10.
 * @param enabled Whether this proxy is used at all.
 * @param healthCheckTimeout Time that a check of this proxy may take, in seconds if no unit is given; the pool's if nothing
 *     is given.
 * @param sslBundle SSL bundle for an https proxy; the pool's if nothing is given.
 */
public record PoolMember(
        ProxyUrl url,
        @Nullable Integer timeoutSeconds,
        @DefaultValue("1") double weight,
        @DefaultValue("true") boolean enabled,
        @Nullable @DurationUnit(ChronoUnit.SECONDS) Duration healthCheckTimeout,
        @Nullable String sslBundle) {

    /**
     * A proxy of which nothing is said but its URL.
     *
     * @param url the proxy; null, which is told when the settings are validated, if nothing stands there
     */
    @SuppressWarnings("NullAway") // as if bound without it
    static PoolMember of(@Nullable ProxyUrl url) {
        return new PoolMember(url, null, 1, true, null, null);
    }
}
