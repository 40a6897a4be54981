package io.egressproxy.autoconfigure;

import com.github.benmanes.caffeine.cache.Caffeine;
import io.egressproxy.observability.ProxyMetrics;
import io.egressproxy.observability.ProxyPoolMetrics;
import io.egressproxy.pool.ProxyPool.MemberState;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.service.CaffeineAnswerStore;
import io.egressproxy.settings.ProxySettings;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;
import io.micrometer.core.instrument.binder.cache.CaffeineCacheMetrics;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.IntSupplier;
import java.util.stream.Collectors;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
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
@AutoConfiguration(before = EgressProxyAutoConfiguration.class)
@ConditionalOnClass({HttpClient.class, MeterRegistry.class})
@Conditional(OnProxyEnabledCondition.class)
public final class ProxyMetricsAutoConfiguration {
    private static final String ANSWERS = "proxyAnswers";

    @Bean
    @ConditionalOnMissingBean
    ProxyMetrics proxyMetrics(ProxySettings settings) {
        return new ProxyMetrics(settings.exchanges().keySet());
    }

    @Bean
    @ConditionalOnMissingBean
    ProxyPoolMetrics proxyPoolMetrics(ProxyRouter router) {
        Map<String, Map<String, IntSupplier>> pools = new LinkedHashMap<>();
        router.pools()
                .forEach(pool -> pools.put(
                        pool.name(),
                        Arrays.stream(MemberState.values())
                                .collect(Collectors.toMap(MemberState::id, state -> () -> pool.count(state)))));
        return new ProxyPoolMetrics(pools);
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
