package io.egressproxy.autoconfigure.boot4;

import io.egressproxy.actuate.ProxyHealth;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.health.autoconfigure.contributor.ConditionalOnEnabledHealthIndicator;
import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/** Auto-configuration of the health component {@code proxy} with Spring Boot 4's. */
@AutoConfiguration(afterName = "io.egressproxy.autoconfigure.EgressProxyAutoConfiguration")
@ConditionalOnClass(
        name = {
            "org.springframework.boot.health.contributor.HealthIndicator",
            "org.springframework.boot.health.autoconfigure.contributor.ConditionalOnEnabledHealthIndicator"
        })
public final class Boot4HealthAutoConfiguration {

    /** Apart, since its condition belongs to actuator, which may not be there. */
    @Configuration(proxyBeanMethods = false)
    @ConditionalOnBean(ProxyHealth.class)
    @ConditionalOnEnabledHealthIndicator("proxy")
    static class Indicator {
        @Bean
        @ConditionalOnMissingBean(name = "proxyHealthIndicator")
        HealthIndicator proxyHealthIndicator(ProxyHealth proxies) {
            return () -> {
                ProxyHealth.State state = proxies.state();
                return (state.up() ? Health.up() : Health.down())
                        .withDetails(state.details())
                        .build();
            };
        }
    }
}
