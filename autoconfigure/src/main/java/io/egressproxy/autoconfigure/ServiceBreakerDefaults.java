package io.egressproxy.autoconfigure;

import io.egressproxy.settings.ProxySettingsBinder;
import java.util.Map;
import org.springframework.boot.context.event.ApplicationEnvironmentPreparedEvent;
import org.springframework.context.ApplicationListener;
import org.springframework.core.env.MapPropertySource;
import org.springframework.util.ClassUtils;

/**
 * Puts our defaults for the proxy service's breaker below everything that the user sets, so that setting one key of {@code
 * resilience4j.circuitbreaker.instances.proxy-service} keeps the others. Resilience4j's own would open after a hundred calls, which
 * a client that asks every few minutes never makes.
 */
final class ServiceBreakerDefaults implements ApplicationListener<ApplicationEnvironmentPreparedEvent> {
    private static final String PREFIX = "resilience4j.circuitbreaker.instances.proxy-service.";
    private static final Map<String, Object> DEFAULTS = Map.of(
            PREFIX + "sliding-window-type", "COUNT_BASED",
            PREFIX + "sliding-window-size", "3",
            PREFIX + "minimum-number-of-calls", "3",
            PREFIX + "failure-rate-threshold", "100",
            PREFIX + "wait-duration-in-open-state", "5s",
            PREFIX + "permitted-number-of-calls-in-half-open-state", "1",
            PREFIX + "max-wait-duration-in-half-open-state", "15s");

    @Override
    public void onApplicationEvent(ApplicationEnvironmentPreparedEvent event) {
        boolean present = ClassUtils.isPresent(
                "io.github.resilience4j.circuitbreaker.CircuitBreaker",
                event.getSpringApplication().getClassLoader());
        if (present && ProxySettingsBinder.isEnabled(event.getEnvironment())) {
            event.getEnvironment()
                    .getPropertySources()
                    .addLast(new MapPropertySource("egressProxyServiceBreaker", DEFAULTS));
        }
    }
}
