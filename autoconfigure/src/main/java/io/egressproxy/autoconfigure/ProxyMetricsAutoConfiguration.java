package io.egressproxy.autoconfigure;

import com.github.benmanes.caffeine.cache.Caffeine;
import io.egressproxy.observability.ProxyMetrics;
import io.egressproxy.observability.ProxyStateMetrics;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.service.CaffeineAnswerStore;
import io.egressproxy.service.ServiceDelegation;
import io.egressproxy.settings.ProxySettings;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.micrometer.core.instrument.binder.cache.CaffeineCacheMetrics;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import reactor.netty.http.client.HttpClient;

/**
 * Auto-configuration of meters. They are bound to whatever registries there are once all beans stand, so that a registry which needs an
 * HTTP client of its own can have one.
 */
@AutoConfiguration(
        before = EgressProxyAutoConfiguration.class,
        afterName = {
            "org.springframework.boot.actuate.autoconfigure.metrics.CompositeMeterRegistryAutoConfiguration",
            "org.springframework.boot.micrometer.metrics.autoconfigure.CompositeMeterRegistryAutoConfiguration"
        })
@ConditionalOnClass({HttpClient.class, MeterRegistry.class})
@ConditionalOnBean(
        MeterRegistry.class) // its definition: nothing is paid for without, and it may need an HTTP client itself
@Conditional(OnProxyEnabledCondition.class)
public final class ProxyMetricsAutoConfiguration {
    private static final String ANSWERS = "proxyAnswers";

    @Bean
    @ConditionalOnMissingBean
    ProxyMetrics proxyMetrics(ProxySettings settings, ObjectProvider<ProxyRouter> router) {
        return new ProxyMetrics(
                settings.exchanges().keySet(),
                () -> router.getObject().settings().exchanges().keySet());
    }

    @Bean
    @ConditionalOnMissingBean
    ProxyStateMetrics proxyStateMetrics(
            ObjectProvider<ProxyRouter> router,
            ObjectProvider<ProxyHealthMonitoring> monitoring,
            ObjectProvider<ProxyDelegation> delegation) {
        // an event listener as well, which all of these are told of: they are looked up when they are measured
        return new ProxyStateMetrics(
                () -> router.getObject().pools(), () -> monitoring.getObject().monitor(), () -> {
                    ServiceDelegation current =
                            delegation.getObject().delegations().current();
                    return current == null ? null : current.isAvailable();
                });
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(Caffeine.class)
    static class AnswerCacheMetrics {
        @Bean
        MeterBinder proxyAnswersCacheMetrics(ProxySettings settings, ObjectProvider<CaffeineAnswerStore> store) {
            return registry -> {
                if (settings.externalService().enabled()) { // else there is no reason to make a cache
                    store.ifAvailable(answers -> CaffeineCacheMetrics.monitor(registry, answers.cache(), ANSWERS));
                }
            };
        }
    }
}
