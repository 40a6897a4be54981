package io.egressproxy.autoconfigure;

import com.github.benmanes.caffeine.cache.Caffeine;
import io.egressproxy.service.AnswerStore;
import io.egressproxy.service.CaffeineAnswerStore;
import io.egressproxy.service.Resilience4jServiceBreaker;
import io.egressproxy.service.ServiceBreaker;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ProxySettings;
import io.github.resilience4j.circuitbreaker.CircuitBreaker;
import io.github.resilience4j.circuitbreaker.CircuitBreakerConfig;
import io.github.resilience4j.circuitbreaker.CircuitBreakerRegistry;
import java.time.Duration;
import java.util.List;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.cache.caffeine.CaffeineCacheManager;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Lazy;
import reactor.netty.http.client.HttpClient;

/** Auto-configuration of what makes the proxy service's client better where the libraries for it are there. */
@AutoConfiguration(
        before = EgressProxyAutoConfiguration.class,
        afterName = {
            "io.github.resilience4j.springboot3.circuitbreaker.autoconfigure.CircuitBreakerAutoConfiguration",
            "io.github.resilience4j.springboot.circuitbreaker.autoconfigure.CircuitBreakerAutoConfiguration"
        })
@ConditionalOnClass(HttpClient.class)
@Conditional(OnProxyEnabledCondition.class)
public final class ProxyServiceAutoConfiguration {
    private static final String BREAKER = "proxy-service";
    private static final int FAILURES = 3;
    private static final Duration OPEN_FOR = Duration.ofSeconds(5);
    private static final Duration HALF_OPEN_AT_MOST = Duration.ofSeconds(15);

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(Caffeine.class)
    static class CaffeineCaching {
        @Bean
        @Lazy
        @ConditionalOnMissingBean(AnswerStore.class)
        CaffeineAnswerStore proxyAnswerStore(ProxySettings settings) {
            ExternalServiceSettings.Cache cache = settings.externalService().cache();
            return new CaffeineAnswerStore(cache.maxEntries(), cache.staleIfError());
        }

        /** For actuator only: it is no candidate for anybody who injects or looks for a cache manager. */
        @Bean(defaultCandidate = false)
        @ConditionalOnClass(CaffeineCacheManager.class)
        @ConditionalOnBean(CaffeineAnswerStore.class)
        CaffeineCacheManager proxyAnswersCacheManager(CaffeineAnswerStore store) {
            CaffeineCacheManager manager = new CaffeineCacheManager();
            manager.setCacheNames(List.of()); // and makes none on demand
            manager.registerCustomCache("proxyAnswers", store.cache());
            return manager;
        }
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(CircuitBreaker.class)
    @ConditionalOnBean(CircuitBreakerRegistry.class)
    static class Resilience4j {
        @Bean
        @Lazy
        @ConditionalOnMissingBean
        ServiceBreaker proxyServiceBreaker(CircuitBreakerRegistry registry) {
            // one that is configured is there already, and has these defaults from below, see ServiceBreakerDefaults
            return new Resilience4jServiceBreaker(registry.circuitBreaker(
                    BREAKER,
                    CircuitBreakerConfig.custom()
                            .slidingWindowType(CircuitBreakerConfig.SlidingWindowType.COUNT_BASED)
                            .slidingWindowSize(FAILURES)
                            .minimumNumberOfCalls(FAILURES)
                            .failureRateThreshold(100)
                            .waitDurationInOpenState(OPEN_FOR)
                            .permittedNumberOfCallsInHalfOpenState(1)
                            .maxWaitDurationInHalfOpenState(HALF_OPEN_AT_MOST)
                            .build()));
        }
    }
}
