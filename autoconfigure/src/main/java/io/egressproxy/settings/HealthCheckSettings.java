package io.egressproxy.settings;

import java.time.Duration;
import java.time.temporal.ChronoUnit;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.convert.DurationUnit;

/**
 * How proxies are checked.
 *
 * @param enabled Whether proxies are checked. By default those of a pool are, a single one is not.
 * @param method How a proxy is checked; handshake, tcp, http, ping or the name of a bean.
 * @param url What method http asks for through the proxy. Required there.
 * @param expectedStatus Status codes that method http takes for success, such as 200 or 200-299.
 * @param interval Time between two checks of a proxy, in seconds if no unit is given.
 * @param timeout Time that one check may take, in seconds if no unit is given.
 * @param healthyThreshold Successful checks in a row that bring a proxy back.
 * @param unhealthyThreshold Failed checks in a row that take a proxy out.
 */
public record HealthCheckSettings(
        @Nullable Boolean enabled,
        @DefaultValue("handshake") String method,
        @Nullable String url,
        @DefaultValue("200-299") String expectedStatus,
        @DefaultValue("30s") @DurationUnit(ChronoUnit.SECONDS) Duration interval,
        @DefaultValue("5s") @DurationUnit(ChronoUnit.SECONDS) Duration timeout,
        @DefaultValue("2") int healthyThreshold,
        @DefaultValue("3") int unhealthyThreshold) {

    static final HealthCheckSettings DEFAULTS = new HealthCheckSettings(
            null, "handshake", null, "200-299", Duration.ofSeconds(30), Duration.ofSeconds(5), 2, 3);
}
