package io.egressproxy.autoconfigure.boot3;

import io.egressproxy.autoconfigure.ConfiguredClients;
import io.egressproxy.autoconfigure.EgressProxyAutoConfiguration;
import io.egressproxy.autoconfigure.OnProxyEnabledCondition;
import io.egressproxy.autoconfigure.TransparentClients;
import io.egressproxy.autoconfigure.UserMadeClients;
import io.egressproxy.netty.ClientRoutes;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.settings.ProxySettings;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.autoconfigure.http.client.ClientHttpRequestFactoryBuilderCustomizer;
import org.springframework.boot.autoconfigure.http.client.reactive.ClientHttpConnectorBuilderCustomizer;
import org.springframework.boot.http.client.ClientHttpRequestFactoryBuilder;
import org.springframework.boot.http.client.ClientHttpRequestFactorySettings;
import org.springframework.boot.http.client.HttpRedirects;
import org.springframework.boot.http.client.ReactorClientHttpRequestFactoryBuilder;
import org.springframework.boot.http.client.reactive.ClientHttpConnectorBuilder;
import org.springframework.boot.http.client.reactive.ClientHttpConnectorSettings;
import org.springframework.boot.http.client.reactive.ReactorClientHttpConnectorBuilder;
import org.springframework.boot.web.client.RestClientCustomizer;
import org.springframework.boot.web.client.RestTemplateCustomizer;
import org.springframework.boot.web.reactive.function.client.WebClientCustomizer;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Lazy;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.web.reactive.function.client.WebClient;

/** Routes the clients that Spring Boot 3 configures: WebClient, RestClient and RestTemplate on Reactor Netty. */
@AutoConfiguration(
        after = EgressProxyAutoConfiguration.class,
        beforeName = {
            "org.springframework.boot.autoconfigure.http.client.reactive.ClientHttpConnectorAutoConfiguration",
            "org.springframework.boot.autoconfigure.http.client.HttpClientAutoConfiguration"
        })
@ConditionalOnClass(
        name = {
            "org.springframework.boot.autoconfigure.http.client.reactive.ClientHttpConnectorBuilderCustomizer",
            "org.springframework.boot.autoconfigure.http.client.ClientHttpRequestFactoryBuilderCustomizer"
        })
@ConditionalOnBean(ClientRoutes.class)
public final class Boot3HttpClientAutoConfiguration {
    private static final String FACTORY = "spring.http.client.factory";
    private static final String REDIRECTS = "spring.http.client.redirects";

    @Bean
    ConfiguredClients boot3ConfiguredClients(
            ObjectProvider<ClientHttpConnectorBuilder<?>> connectors,
            ObjectProvider<ClientHttpConnectorSettings> settings,
            ObjectProvider<WebClient.Builder> webClients) {
        return new Boot3ConfiguredClients(connectors, settings, webClients);
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
            return new UserMadeClients(beans, "org.springframework.boot.web.client.RestTemplateBuilder");
        }

        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        WebClientCustomizer guardUnroutedWebClients(
                TransparentClients clients,
                ObjectProvider<ClientHttpConnectorBuilder<?>> connectors,
                ObjectProvider<ClientHttpConnectorSettings> settings) {
            TransparentClients.Guard guard = clients.guard(
                    settings.stream().noneMatch(used -> used.redirects() == HttpRedirects.DONT_FOLLOW),
                    "spring.http.reactiveclient.connector",
                    "spring.http.reactiveclient.redirects");
            return builder -> guard.look(builder, connectors::getIfAvailable);
        }

        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        RestClientCustomizer guardUnroutedRestClients(
                TransparentClients clients,
                ObjectProvider<ClientHttpRequestFactoryBuilder<?>> factories,
                ObjectProvider<ClientHttpRequestFactorySettings> settings) {
            TransparentClients.Guard guard = clients.guard(followsRedirects(settings), FACTORY, REDIRECTS);
            return builder -> guard.look(builder, factories::getIfAvailable);
        }

        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        RestTemplateCustomizer guardUnroutedRestTemplates(
                TransparentClients clients, ObjectProvider<ClientHttpRequestFactorySettings> settings) {
            return clients.guard(followsRedirects(settings), FACTORY, REDIRECTS)::look;
        }

        private static boolean followsRedirects(ObjectProvider<ClientHttpRequestFactorySettings> settings) {
            return settings.stream()
                    .noneMatch(used -> used.redirects() == ClientHttpRequestFactorySettings.Redirects.DONT_FOLLOW);
        }
    }
}
