package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.ConnectionType;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyReload;
import io.egressproxy.actuate.ProxiesEndpoint;
import io.egressproxy.actuate.ProxySanitizingFunction;
import io.egressproxy.observability.ProxyAudit;
import io.egressproxy.observability.ProxyMetrics;
import io.egressproxy.observability.ProxyStateMetrics;
import io.egressproxy.observability.RecentFallbacks;
import io.egressproxy.service.AnswerStore;
import io.egressproxy.service.CaffeineAnswerStore;
import io.egressproxy.service.ServiceBreaker;
import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.context.annotation.ImportCandidates;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.util.ClassUtils;

/** Everything that is optional may be missing, one by one and all at once. */
@Tag("NFR-3")
@Tag("smoke")
class OptionalDependenciesTests {
    private static final String[] OPTIONAL = {
        "org.springframework.boot.actuate",
        "org.springframework.boot.health",
        "io.micrometer.core",
        "io.github.resilience4j",
        "com.github.benmanes.caffeine",
        "org.springframework.cache"
    };

    /** What Spring Boot and Resilience4j add where everything is there. Some of it has needs of its own, which are not ours to test. */
    private static final String[] OF_OTHERS = {
        "MetricsAutoConfiguration",
        "SimpleMetricsExportAutoConfiguration",
        "EndpointAutoConfiguration",
        "CircuitBreakerAutoConfiguration"
    };

    private static ApplicationContextRunner withEverything() {
        return application().withConfiguration(SpringBoot.autoConfigurations(OF_OTHERS));
    }

    /** All of ours, as they stand in the file that applications read. */
    private static ApplicationContextRunner application() {
        Class<?>[] ours =
                ImportCandidates.load(AutoConfiguration.class, AutoConfiguration.class.getClassLoader())
                        .getCandidates()
                        .stream()
                        .filter(name -> name.startsWith("io.egressproxy."))
                        .map(name -> ClassUtils.resolveClassName(name, null))
                        .toArray(Class<?>[]::new);
        assertThat(ours).hasSizeGreaterThan(5);
        return new ApplicationContextRunner()
                .withConfiguration(AutoConfigurations.of(ours))
                .withConfiguration(SpringBoot.autoConfigurations(
                        SpringBoot.and(SpringBoot.REACTIVE_CLIENTS, "SslAutoConfiguration", "CacheAutoConfiguration")))
                .withPropertyValues(
                        "spring.main.lazy-initialization=false",
                        "spring.reactor.netty.shutdown-quiet-period=0s",
                        "management.endpoints.web.exposure.include=*",
                        "proxy.enabled=true",
                        "proxy.default.http.pool[0].url=http://127.0.0.1:1",
                        "proxy.default.http.health-check.enabled=false",
                        "proxy.external-service.enabled=true",
                        "proxy.external-service.health-check.enabled=false",
                        "proxy.external-service.endpoints=http://127.0.0.1:1");
    }

    private static void assertWorks(ApplicationContextRunner application) {
        application.run(context -> {
            assertThat(context).hasNotFailed().hasSingleBean(ProxyReload.class).hasSingleBean(ProxyAudit.class);
            assertThat(context.getBean(ProxyInjector.class)
                            .decide("any", ConnectionType.HTTP)
                            .block(Duration.ofSeconds(10)))
                    .isInstanceOf(ProxyDecision.UseProxy.class);
            assertThat(context.getBean(ProxyReload.class).reload()).isTrue();
        });
    }

    @Test
    void withEverythingAllIsThere() {
        assertWorks(withEverything());
        withEverything().run(context -> assertThat(context)
                .hasSingleBean(ProxiesEndpoint.class)
                .hasSingleBean(RecentFallbacks.class)
                .hasSingleBean(ProxySanitizingFunction.class)
                .hasSingleBean(ProxyMetrics.class)
                .hasSingleBean(ProxyStateMetrics.class)
                .hasSingleBean(CaffeineAnswerStore.class)
                .hasSingleBean(ServiceBreaker.class)
                .hasBean("proxyHealthIndicator"));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "org.springframework.boot.actuate",
                "org.springframework.boot.actuate.audit",
                "org.springframework.boot.actuate.endpoint",
                "org.springframework.boot.actuate.health",
                "org.springframework.boot.health",
                "org.springframework.boot.restclient",
                "org.springframework.boot.actuate.autoconfigure",
                "io.micrometer.core",
                "io.github.resilience4j",
                "com.github.benmanes.caffeine",
                "org.springframework.cache",
                "org.springframework.cache.caffeine",
                "io.micrometer.tracing"
            })
    void withoutOneOfThemTheRestWorks(String missing) {
        assertWorks(application().withClassLoader(new FilteredClassLoader(missing)));
    }

    @Test
    void withoutAllOfThemTheRestWorks() {
        assertWorks(application().withClassLoader(new FilteredClassLoader(OPTIONAL)));
        application().withClassLoader(new FilteredClassLoader(OPTIONAL)).run(context -> assertThat(context)
                .doesNotHaveBean(ProxiesEndpoint.class)
                .doesNotHaveBean(RecentFallbacks.class)
                .doesNotHaveBean(ProxyMetrics.class)
                .doesNotHaveBean(AnswerStore.class)
                .doesNotHaveBean("proxyHealthIndicator"));
    }

    @Test
    void withoutARegistryThereAreNoMetersAndNobodyLooksAtTheClock() {
        application().run(context -> assertThat(
                        context.getBeanProvider(ProxyEventListener.class).orderedStream())
                .isNotEmpty()
                .noneMatch(ProxyEventListener::hearsConnections));
    }

    @Test
    void aDisabledLibraryAddsNothingToActuatorButKeepsItsSecrets() {
        application().withPropertyValues("proxy.enabled=false").run(context -> assertThat(context)
                .hasNotFailed()
                .doesNotHaveBean(ProxiesEndpoint.class)
                .doesNotHaveBean(ProxyMetrics.class)
                .doesNotHaveBean("proxyHealthIndicator")
                .hasSingleBean(ProxySanitizingFunction.class));
    }
}
