package io.egressproxy.autoconfigure;

import io.egressproxy.ProxyReload;
import io.egressproxy.actuate.AuditEventPublisher;
import io.egressproxy.actuate.ProxiesEndpoint;
import io.egressproxy.actuate.ProxySanitizingFunction;
import io.egressproxy.observability.ProxyAudit;
import io.egressproxy.observability.RecentFallbacks;
import io.egressproxy.routing.ProxyRouter;
import java.time.Clock;
import org.springframework.boot.actuate.audit.AuditEventRepository;
import org.springframework.boot.actuate.autoconfigure.endpoint.condition.ConditionalOnAvailableEndpoint;
import org.springframework.boot.actuate.endpoint.SanitizingFunction;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.context.ApplicationEventPublisher;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.env.Environment;
import reactor.netty.http.client.HttpClient;

/** Auto-configuration of what actuator shows: the endpoint {@code proxies}, audit events, and no secrets. */
@AutoConfiguration(before = EgressProxyAutoConfiguration.class)
@ConditionalOnClass({HttpClient.class, Endpoint.class, ConditionalOnAvailableEndpoint.class})
public final class ProxyActuatorAutoConfiguration {

    /** Whether or not the library is enabled: its settings are there. */
    @Bean
    @ConditionalOnMissingBean
    ProxySanitizingFunction proxySanitizingFunction() {
        return new ProxySanitizingFunction();
    }

    @Configuration(proxyBeanMethods = false)
    @Conditional(OnProxyEnabledCondition.class)
    @ConditionalOnClass({AuditEventRepository.class, SanitizingFunction.class})
    @ConditionalOnBean(AuditEventRepository.class)
    static class AuditEvents {
        @Bean
        AuditEventPublisher proxyAuditEventPublisher(Environment environment, ApplicationEventPublisher publisher) {
            return new AuditEventPublisher(
                    environment.getProperty("spring.application.name", "application"), publisher);
        }

        @Bean
        @ConditionalOnMissingBean
        ProxyAudit proxyAudit(AuditEventPublisher publisher) {
            return new ProxyAudit(publisher);
        }
    }

    @Configuration(proxyBeanMethods = false)
    @Conditional(OnProxyEnabledCondition.class)
    @ConditionalOnAvailableEndpoint(ProxiesEndpoint.class)
    static class Proxies {
        @Bean
        @ConditionalOnMissingBean
        RecentFallbacks recentFallbacks() {
            return new RecentFallbacks(Clock.systemUTC());
        }

        @Bean
        @ConditionalOnMissingBean
        ProxiesEndpoint proxiesEndpoint(
                ProxyRouter router,
                ProxyDelegation delegation,
                ProxyHealthMonitoring monitoring,
                RecentFallbacks fallbacks,
                ProxyAudit audit,
                ProxyReload reload) {
            return new ProxiesEndpoint(
                    router,
                    () -> delegation.delegations().current(),
                    monitoring.monitor(),
                    fallbacks,
                    audit,
                    reload,
                    Clock.systemUTC());
        }
    }
}
