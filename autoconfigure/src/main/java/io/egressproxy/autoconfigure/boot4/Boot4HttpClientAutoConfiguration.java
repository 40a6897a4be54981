package io.egressproxy.autoconfigure.boot4;

import io.egressproxy.autoconfigure.ConfiguredClients;
import io.egressproxy.autoconfigure.EgressProxyAutoConfiguration;
import io.egressproxy.autoconfigure.OnProxyEnabledCondition;
import io.egressproxy.autoconfigure.TransparentClients;
import io.egressproxy.autoconfigure.UserMadeClients;
import io.egressproxy.netty.ClientRoutes;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.settings.ProxySettings;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.http.client.ClientHttpRequestFactoryBuilder;
import org.springframework.boot.http.client.HttpClientSettings;
import org.springframework.boot.http.client.HttpRedirects;
import org.springframework.boot.http.client.ReactorClientHttpRequestFactoryBuilder;
import org.springframework.boot.http.client.autoconfigure.ClientHttpRequestFactoryBuilderCustomizer;
import org.springframework.boot.http.client.autoconfigure.reactive.ClientHttpConnectorBuilderCustomizer;
import org.springframework.boot.http.client.reactive.ClientHttpConnectorBuilder;
import org.springframework.boot.http.client.reactive.ReactorClientHttpConnectorBuilder;
import org.springframework.boot.restclient.RestClientCustomizer;
import org.springframework.boot.restclient.RestTemplateCustomizer;
import org.springframework.boot.webclient.WebClientCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.ImportRuntimeHints;
import org.springframework.context.annotation.Lazy;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.core.env.Environment;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;

/** Routes the clients that Spring Boot 4 configures: WebClient, RestClient and RestTemplate on Reactor Netty. */
@AutoConfiguration(
        after = EgressProxyAutoConfiguration.class,
        beforeName = {
            "org.springframework.boot.http.client.autoconfigure.reactive.ReactiveHttpClientAutoConfiguration",
            "org.springframework.boot.http.client.autoconfigure.imperative.ImperativeHttpClientAutoConfiguration"
        })
@ConditionalOnClass(
        name = {
            "org.springframework.boot.http.client.autoconfigure.reactive.ClientHttpConnectorBuilderCustomizer",
            "org.springframework.boot.http.client.autoconfigure.ClientHttpRequestFactoryBuilderCustomizer"
        })
@ConditionalOnBean(ClientRoutes.class)
@ImportRuntimeHints({Boot4ConfiguredClients.Hints.class, GroupGuard.Hints.class})
public final class Boot4HttpClientAutoConfiguration {
    private static final String REDIRECTS = "spring.http.clients.redirects";
    private static final String CONNECTOR = "spring.http.clients.reactive.connector";
    private static final String FACTORY = "spring.http.clients.imperative.factory";
    private static final Bindable<Map<String, GroupSettings>> GROUPS =
            Bindable.mapOf(String.class, GroupSettings.class);

    /** Of a group of HTTP interfaces, what matters here. */
    record GroupSettings(@Nullable String redirects) {}

    @Bean
    ConfiguredClients boot4ConfiguredClients(
            ObjectProvider<ClientHttpConnectorBuilder<?>> connectors,
            ObjectProvider<HttpClientSettings> settings,
            ObjectProvider<WebClient.Builder> webClients) {
        return new Boot4ConfiguredClients(connectors, settings, webClients);
    }

    /** What touches clients exists only if it may have something to do. */
    @Configuration(proxyBeanMethods = false)
    @Conditional(OnProxyEnabledCondition.class)
    static class Transparent {

        @Bean
        TransparentClients transparentClients(ProxySettings settings, ProxyRouter router, ClientRoutes routes) {
            return new TransparentClients(settings, router, routes);
        }

        /** Last, since Spring Boot's own customizer (order 0) sets a resolver that would look up the target's name here. */
        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        ClientHttpConnectorBuilderCustomizer<ReactorClientHttpConnectorBuilder> routedConnectors(
                TransparentClients clients) {
            return clients::routed;
        }

        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        ClientHttpRequestFactoryBuilderCustomizer<ReactorClientHttpRequestFactoryBuilder> routedRequestFactories(
                TransparentClients clients) {
            return clients::routed;
        }

        /**
         * In reactive applications Spring Boot has none, and yet makes blocking clients in some: on what it finds, and nobody has customized. Where it
         * has one, it steps back for this one.
         */
        @Bean
        @ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
        @ConditionalOnMissingBean
        ClientHttpRequestFactoryBuilder<?> requestFactoriesOfReactiveApplications(
                TransparentClients clients, ObjectProvider<ClientHttpRequestFactoryBuilderCustomizer<?>> customizers) {
            return clients.requestFactories(
                    customizers.orderedStream(),
                    ClientHttpRequestFactoryBuilderCustomizer.class,
                    Transparent::customized);
        }

        @SuppressWarnings("unchecked")
        private static <B extends ClientHttpRequestFactoryBuilder<?>> B customized(
                ClientHttpRequestFactoryBuilderCustomizer<?> customizer, B builder) {
            return ((ClientHttpRequestFactoryBuilderCustomizer<B>) customizer).customize(builder);
        }

        @Bean
        @Lazy(false)
        UserMadeClients userMadeClients(ConfigurableListableBeanFactory beans) {
            return new UserMadeClients(beans, "org.springframework.boot.restclient.RestTemplateBuilder");
        }

        /** Some client does, if not all: which group a client is of cannot be told. */
        private static boolean followsRedirects(ObjectProvider<HttpClientSettings> settings, Environment environment) {
            return settings.stream().noneMatch(used -> used.redirects() == HttpRedirects.DONT_FOLLOW)
                    || Binder.get(environment)
                            .bind("spring.http.serviceclient", GROUPS)
                            .orElse(Map.of())
                            .values()
                            .stream()
                            .map(GroupSettings::redirects)
                            .anyMatch(own -> own != null && !own.matches("(?i)dont[-_]?follow"));
        }

        /** Apart, since applications on Spring Framework alone may have none of these. */
        @Configuration(proxyBeanMethods = false)
        @ConditionalOnClass(name = GroupGuard.OF_REST_CLIENTS)
        static class RestClientGroups {
            @Bean
            GroupGuard guardUnroutedRestClientGroups(
                    ObjectProvider<TransparentClients> clients,
                    ObjectProvider<HttpClientSettings> settings,
                    Environment environment) {
                return new GroupGuard(GroupGuard.OF_REST_CLIENTS, () -> {
                    TransparentClients.Guard guard =
                            clients.getObject().guard(followsRedirects(settings, environment), FACTORY, REDIRECTS);
                    return builder -> guard.look((RestClient.Builder) builder, () -> null);
                });
            }
        }

        /** As above. */
        @Configuration(proxyBeanMethods = false)
        @ConditionalOnClass(name = GroupGuard.OF_WEB_CLIENTS)
        static class WebClientGroups {
            @Bean
            GroupGuard guardUnroutedWebClientGroups(
                    ObjectProvider<TransparentClients> clients,
                    ObjectProvider<HttpClientSettings> settings,
                    Environment environment) {
                return new GroupGuard(GroupGuard.OF_WEB_CLIENTS, () -> {
                    TransparentClients.Guard guard =
                            clients.getObject().guard(followsRedirects(settings, environment), CONNECTOR, REDIRECTS);
                    return builder -> guard.look((WebClient.Builder) builder, () -> null);
                });
            }
        }

        /** Apart, since each kind of client is a module of its own. */
        @Configuration(proxyBeanMethods = false)
        @ConditionalOnClass(name = "org.springframework.boot.webclient.WebClientCustomizer")
        static class WebClients {
            @Bean
            @Order(Ordered.LOWEST_PRECEDENCE)
            WebClientCustomizer guardUnroutedWebClients(
                    TransparentClients clients,
                    ObjectProvider<ClientHttpConnectorBuilder<?>> connectors,
                    ObjectProvider<HttpClientSettings> settings,
                    Environment environment) {
                TransparentClients.Guard guard =
                        clients.guard(followsRedirects(settings, environment), CONNECTOR, REDIRECTS);
                return builder -> guard.look(builder, connectors::getIfAvailable);
            }
        }

        /** As above. */
        @Configuration(proxyBeanMethods = false)
        @ConditionalOnClass(name = "org.springframework.boot.restclient.RestClientCustomizer")
        static class RestClients {
            @Bean
            @Order(Ordered.LOWEST_PRECEDENCE)
            RestClientCustomizer guardUnroutedRestClients(
                    TransparentClients clients,
                    ObjectProvider<ClientHttpRequestFactoryBuilder<?>> factories,
                    ObjectProvider<HttpClientSettings> settings,
                    Environment environment) {
                TransparentClients.Guard guard =
                        clients.guard(followsRedirects(settings, environment), FACTORY, REDIRECTS);
                return builder -> guard.look(builder, factories::getIfAvailable);
            }

            @Bean
            @Order(Ordered.LOWEST_PRECEDENCE)
            RestTemplateCustomizer guardUnroutedRestTemplates(
                    TransparentClients clients, ObjectProvider<HttpClientSettings> settings, Environment environment) {
                return clients.guard(followsRedirects(settings, environment), FACTORY, REDIRECTS)::look;
            }
        }
    }
}
