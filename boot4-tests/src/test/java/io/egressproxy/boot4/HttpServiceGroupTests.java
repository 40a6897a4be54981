package io.egressproxy.boot4;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.egressproxy.testkit.ProxyKind;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.TargetServer;
import io.netty.handler.timeout.ReadTimeoutException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.http.client.InetAddressFilter;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.NestedExceptionUtils;
import org.springframework.core.io.DefaultResourceLoader;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.http.client.reactive.JdkClientHttpConnector;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.support.RestClientHttpServiceGroupConfigurer;
import org.springframework.web.reactive.function.client.support.WebClientHttpServiceGroupConfigurer;
import org.springframework.web.service.annotation.GetExchange;
import org.springframework.web.service.registry.HttpServiceGroup;
import org.springframework.web.service.registry.ImportHttpServices;
import reactor.core.publisher.Mono;

/** HTTP interface clients in groups, as an application declares them, whose code knows nothing of proxies. */
@ExtendWith(ProxyLab.Extension.class)
@Tag("FR-3")
@Tag("smoke")
class HttpServiceGroupTests {
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final TargetServer target;
    private final RunningProxy first;
    private final RunningProxy second;

    HttpServiceGroupTests(ProxyLab lab) {
        this.target = lab.newTarget();
        this.first = lab.proxy(ProxyKind.MICROSOCKS_SOCKS5_CREDENTIALS);
        this.second = lab.proxy(ProxyKind.TINYPROXY_HTTP);
    }

    @AfterEach
    void close() {
        target.close();
    }

    interface Blocking {
        @GetExchange("/whoami")
        String whoAmI();

        @GetExchange("/hang")
        String hang();
    }

    interface Reactive {
        @GetExchange("/whoami")
        Mono<String> whoAmI();

        @GetExchange("/hang")
        Mono<String> hang();
    }

    @SpringBootConfiguration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    @Import({BlockingGroup.class, ReactiveGroup.class})
    static class Application {}

    @Configuration(proxyBeanMethods = false)
    @ImportHttpServices(
            group = "blocking",
            types = Blocking.class,
            clientType = HttpServiceGroup.ClientType.REST_CLIENT)
    static class BlockingGroup {}

    @Configuration(proxyBeanMethods = false)
    @ImportHttpServices(group = "reactive", types = Reactive.class, clientType = HttpServiceGroup.ClientType.WEB_CLIENT)
    static class ReactiveGroup {}

    private ConfigurableApplicationContext application(Map<String, Object> properties, Class<?>... others) {
        return builder(others).properties(properties).run();
    }

    private SpringApplicationBuilder builder(Class<?>... others) {
        return new SpringApplicationBuilder(Application.class)
                .sources(others)
                .web(WebApplicationType.NONE)
                .properties(Map.of(
                        "spring.reactor.netty.shutdown-quiet-period",
                        "0s",
                        "spring.http.serviceclient.blocking.base-url",
                        target.url("http", "127.0.0.1", ""),
                        "spring.http.serviceclient.reactive.base-url",
                        target.url("http", "localhost", ""),
                        "proxy.enabled",
                        "true",
                        "proxy.no-proxy",
                        "",
                        "proxy.default.http.url",
                        first.url(),
                        "proxy.exchanges.other.hosts",
                        "localhost",
                        "proxy.exchanges.other.http.url",
                        second.url()));
    }

    @Test
    void eachGroupGoesTheWayOfItsHost() {
        try (ConfigurableApplicationContext context = application(Map.of())) {
            assertThat(context.getBean(Blocking.class).whoAmI()).contains(first.egressAddress());
            assertThat(context.getBean(Reactive.class).whoAmI().block(PATIENCE)).contains(second.egressAddress());
            assertThat(target.directConnections()).isEmpty();
        }
    }

    @Test
    void aGroupsOwnReadTimeoutStaysInForceOnRestClient() {
        try (ConfigurableApplicationContext context =
                application(Map.of("spring.http.serviceclient.blocking.read-timeout", "300ms"))) {
            assertThatThrownBy(() -> context.getBean(Blocking.class).hang())
                    .hasRootCauseInstanceOf(ReadTimeoutException.class);
            assertThat(target.connectionsFrom(first)).isNotEmpty();
            assertThat(target.directConnections()).isEmpty();
        }
    }

    /** Spring Boot 4.1.0 forgets it where there is a bean for connectors (its issue 49279); what it remembers, we do not lose. */
    @Test
    void aGroupsOwnReadTimeoutOnWebClientIsWhatSpringBootMakesOfIt() {
        Map<String, Object> ofTheGroup = Map.of("spring.http.serviceclient.reactive.read-timeout", "300ms");
        Map<String, Object> withoutLibrary = new HashMap<>(ofTheGroup);
        withoutLibrary.put("proxy.enabled", "false");
        assertThat(timesOut(ofTheGroup)).isEqualTo(timesOut(withoutLibrary));
        assertThat(target.connectionsFrom(second)).hasSize(1);
    }

    @Test
    void aReadTimeoutForAllClientsHoldsForGroupsOnWebClientToo() {
        assertThat(timesOut(Map.of("spring.http.clients.read-timeout", "300ms")))
                .isTrue();
        assertThat(target.connectionsFrom(second)).hasSize(1);
        assertThat(target.directConnections()).isEmpty();
    }

    private boolean timesOut(Map<String, Object> properties) {
        try (ConfigurableApplicationContext context = application(properties)) {
            return Boolean.TRUE.equals(context.getBean(Reactive.class)
                    .hang()
                    .thenReturn(false)
                    .onErrorResume(failure -> Mono.just(hasCause(failure, ReadTimeoutException.class)))
                    .timeout(Duration.ofSeconds(3), Mono.just(false))
                    .block(PATIENCE));
        }
    }

    private static boolean hasCause(Throwable failure, Class<? extends Throwable> type) {
        return type.isInstance(NestedExceptionUtils.getMostSpecificCause(failure));
    }

    @Test
    void aGroupOnTheJdksClientIsRefusedWhereItWouldNeedAProxy() {
        try (ConfigurableApplicationContext context = application(Map.of(
                "spring.http.clients.imperative.factory", "jdk",
                "spring.http.clients.reactive.connector", "jdk"))) {
            assertThatThrownBy(() -> context.getBean(Blocking.class).whoAmI())
                    .hasStackTraceContaining("set spring.http.clients.imperative.factory=reactor");
            assertThatThrownBy(() -> context.getBean(Reactive.class).whoAmI().block(PATIENCE))
                    .hasStackTraceContaining("set spring.http.clients.reactive.connector=reactor");
            assertThat(target.seen()).isEmpty();
        }
    }

    @Test
    @Tag("no-leak")
    void groupsAndBlockingClientsOfAReactiveApplicationAreRoutedToo() {
        try (ConfigurableApplicationContext context = application(Map.of(
                "spring.main.web-application-type", "reactive",
                "spring.http.clients.imperative.factory", "jdk",
                "server.port", "0"))) {
            assertThat(context.getBean(Blocking.class).whoAmI()).contains(first.egressAddress());
            assertThat(context.getBean(Reactive.class).whoAmI().block(PATIENCE)).contains(second.egressAddress());
            assertThat(context.getBean(RestClient.Builder.class)
                            .build()
                            .get()
                            .uri(target.url("http", "127.0.0.1", "/whoami"))
                            .retrieve()
                            .body(String.class))
                    .contains(first.egressAddress());
            assertThat(target.directConnections()).isEmpty();
        }
    }

    @Configuration(proxyBeanMethods = false)
    static class OwnBaseUrls {
        @Bean
        RestClientHttpServiceGroupConfigurer restClients(
                @Value("${spring.http.serviceclient.blocking.base-url}") String url) {
            return groups -> groups.forEachClient((group, builder) -> builder.baseUrl(url));
        }

        @Bean
        WebClientHttpServiceGroupConfigurer webClients(
                @Value("${spring.http.serviceclient.reactive.base-url}") String url) {
            return groups -> groups.forEachClient((group, builder) -> builder.baseUrl(url));
        }
    }

    @Test
    @Tag("no-leak")
    void groupsThatSpringBootDoesNotConfigureAreRoutedToo() {
        try (ConfigurableApplicationContext context = application(
                Map.of(
                        "spring.autoconfigure.exclude",
                        "org.springframework.boot.restclient.autoconfigure.service.HttpServiceClientAutoConfiguration,"
                                + "org.springframework.boot.webclient.autoconfigure.service.ReactiveHttpServiceClientAutoConfiguration"),
                OwnBaseUrls.class)) {
            assertThat(context.getBean(Blocking.class).whoAmI()).contains(first.egressAddress());
            assertThat(context.getBean(Reactive.class).whoAmI().block(PATIENCE)).contains(second.egressAddress());
            assertThat(target.directConnections()).isEmpty();
        }
    }

    @Test
    @Tag("no-leak")
    void withoutSpringBootsModuleForClientsGroupsStopTheStart() {
        ClassLoader without = new FilteredClassLoader(
                "org.springframework.boot.http.client.autoconfigure.reactive.ClientHttpConnectorBuilderCustomizer");
        ClassLoader before = Thread.currentThread().getContextClassLoader();
        try {
            Thread.currentThread().setContextClassLoader(without);
            assertThatThrownBy(() -> builder(OwnBaseUrls.class)
                            .resourceLoader(new DefaultResourceLoader(without))
                            .run()
                            .close())
                    .hasStackTraceContaining("add org.springframework.boot:spring-boot-http-client");
            assertThat(target.seen()).isEmpty();
        } finally {
            Thread.currentThread().setContextClassLoader(before);
        }
    }

    @Configuration(proxyBeanMethods = false)
    static class OwnTransports {
        @Bean
        RestClientHttpServiceGroupConfigurer restClients() {
            return groups ->
                    groups.forEachClient((group, builder) -> builder.requestFactory(new JdkClientHttpRequestFactory()));
        }

        @Bean
        WebClientHttpServiceGroupConfigurer webClients() {
            return groups ->
                    groups.forEachClient((group, builder) -> builder.clientConnector(new JdkClientHttpConnector()));
        }
    }

    @Test
    @Tag("no-leak")
    void aTransportThatAConfigurerOfTheApplicationsOwnBringsIsRefused() {
        try (ConfigurableApplicationContext context = application(Map.of(), OwnTransports.class)) {
            assertThatThrownBy(() -> context.getBean(Blocking.class).whoAmI())
                    .hasStackTraceContaining("it would connect directly");
            assertThatThrownBy(() -> context.getBean(Reactive.class).whoAmI().block(PATIENCE))
                    .hasStackTraceContaining("it would connect directly");
            assertThat(target.seen()).isEmpty();
        }
    }

    @Test
    @Tag("no-leak")
    void aGroupThatFollowsRedirectsPastTheCheckIsRefusedWhereTheOthersDoNot() {
        try (ConfigurableApplicationContext context = application(Map.of(
                "spring.http.clients.imperative.factory", "jdk",
                "spring.http.clients.redirects", "dont-follow",
                "spring.http.serviceclient.blocking.redirects", "follow",
                "proxy.no-proxy", "127.0.0.1"))) {
            assertThatThrownBy(() -> context.getBean(Blocking.class).whoAmI())
                    .hasStackTraceContaining("set spring.http.clients.redirects=dont-follow");
            assertThat(target.seen()).isEmpty();
        }
    }

    @Configuration(proxyBeanMethods = false)
    static class ExternalAddressesOnly {
        @Bean
        InetAddressFilter externalAddressesOnly() {
            return InetAddressFilter.externalAddresses();
        }
    }

    @Test
    @Tag("no-leak")
    void theFilterOfAddressesHoldsForAddressesInUrlsAndWhereAConnectionIsDirect() {
        try (ConfigurableApplicationContext context =
                application(Map.of("proxy.no-proxy", "localhost"), ExternalAddressesOnly.class)) {
            assertThatThrownBy(() -> context.getBean(Blocking.class).whoAmI())
                    .as("an address that would go through a proxy")
                    .hasStackTraceContaining("FilteredHostException");
            assertThatThrownBy(() -> context.getBean(Reactive.class).whoAmI().block(PATIENCE))
                    .as("a name that is resolved here")
                    .hasStackTraceContaining("FilteredHostException");
            assertThat(target.seen()).isEmpty();
        }
    }

    @Test
    void theFilterOfAddressesLeavesANameAloneThatAProxyResolves() {
        try (ConfigurableApplicationContext context = application(Map.of(), ExternalAddressesOnly.class)) {
            assertThat(context.getBean(Reactive.class).whoAmI().block(PATIENCE)).contains(second.egressAddress());
            assertThat(target.directConnections()).isEmpty();
        }
    }
}
