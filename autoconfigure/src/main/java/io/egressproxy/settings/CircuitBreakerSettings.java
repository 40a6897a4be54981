package io.egressproxy.settings;

import java.time.Duration;
import java.time.temporal.ChronoUnit;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.convert.DurationUnit;

/**
 * When a proxy that fails connections is left out, and for how long.
 *
 * @param enabled Whether failing proxies are left out.
 * @param failureThreshold Failures in a row that are the proxy's own before it is left out.
 * @param openFor Time for which a proxy is left out at first, in seconds if no unit is given; doubles each time.
 * @param maxOpenFor Longest time for which a proxy is left out, in seconds if no unit is given.
 * @param maxEjectedPercent Share of a pool that may be left out at once, 0 to 100; the last proxy never is.
 */
public record CircuitBreakerSettings(
        @DefaultValue("true") boolean enabled,
        @DefaultValue("3") int failureThreshold,
        @DefaultValue("5s") @DurationUnit(ChronoUnit.SECONDS) Duration openFor,
        @DefaultValue("5m") @DurationUnit(ChronoUnit.SECONDS) Duration maxOpenFor,
        @DefaultValue("50") int maxEjectedPercent) {

    static final CircuitBreakerSettings DEFAULTS =
            new CircuitBreakerSettings(true, 3, Duration.ofSeconds(5), Duration.ofMinutes(5), 50);
}
