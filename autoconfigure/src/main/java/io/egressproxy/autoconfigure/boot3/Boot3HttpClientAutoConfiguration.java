package io.egressproxy.autoconfigure.boot3;

import io.egressproxy.ConnectionType;
import io.egressproxy.autoconfigure.ConfiguredClients;
import io.egressproxy.autoconfigure.EgressProxyAutoConfiguration;
import io.egressproxy.autoconfigure.OnProxyEnabledCondition;
import io.egressproxy.netty.ClientRoutes;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.routing.UnroutedClientGuard;
import io.egressproxy.settings.ProxySettings;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.http.client.ClientHttpRequestFactoryBuilderCustomizer;
import org.springframework.boot.autoconfigure.http.client.HttpClientAutoConfiguration;
import org.springframework.boot.autoconfigure.http.client.reactive.ClientHttpConnectorAutoConfiguration;
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
import org.springframework.http.client.AbstractClientHttpRequestFactoryWrapper;
import org.springframework.http.client.ClientHttpRequestFactory;
import org.springframework.http.client.ReactorClientHttpRequestFactory;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.reactive.function.client.WebClient;

/** Routes the clients that Spring Boot 3 configures: WebClient, RestClient and RestTemplate on Reactor Netty. */
@AutoConfiguration(
        after = EgressProxyAutoConfiguration.class,
        before = {ClientHttpConnectorAutoConfiguration.class, HttpClientAutoConfiguration.class})
@ConditionalOnClass(
        name = {
            "org.springframework.boot.autoconfigure.http.client.reactive.ClientHttpConnectorBuilderCustomizer",
            "org.springframework.boot.autoconfigure.http.client.ClientHttpRequestFactoryBuilderCustomizer"
        })
@ConditionalOnBean(ClientRoutes.class)
public final class Boot3HttpClientAutoConfiguration {

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
    static class TransparentClients {

        private static boolean active(ProxySettings settings) {
            return settings.enabled() && settings.transparent();
        }

        /** Last, since Spring Boot's own customizer (order 0) sets a resolver that would look up the target's name here. */
        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        ClientHttpConnectorBuilderCustomizer<ReactorClientHttpConnectorBuilder> routedConnectors(
                ProxySettings settings, ClientRoutes routes) {
            return builder -> active(settings)
                    ? builder.withHttpClientCustomizer(client -> routes.byHost(client, ConnectionType.HTTP))
                    : builder;
        }

        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        ClientHttpRequestFactoryBuilderCustomizer<ReactorClientHttpRequestFactoryBuilder> routedRequestFactories(
                ProxySettings settings, ClientRoutes routes) {
            return builder -> active(settings)
                    ? builder.withHttpClientCustomizer(client -> routes.byHost(client, ConnectionType.HTTP))
                    : builder;
        }

        @Bean
        @Lazy(false)
        UserMadeClients userMadeClients(ConfigurableListableBeanFactory beans) {
            return new UserMadeClients(beans);
        }

        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        WebClientCustomizer guardUnroutedWebClients(
                ProxySettings settings,
                ProxyRouter router,
                ObjectProvider<ClientHttpConnectorBuilder<?>> connectors,
                ObjectProvider<ClientHttpConnectorSettings> connectorSettings) {
            UnroutedClientGuard guard = new UnroutedClientGuard(
                    router,
                    connectorSettings.stream().noneMatch(used -> used.redirects() == HttpRedirects.DONT_FOLLOW));
            return builder -> {
                Object transport = BuilderTransport.of(builder, "connector");
                Object used = transport == null ? connectors.getIfAvailable() : transport;
                boolean routable =
                        used instanceof ReactorClientHttpConnector || used instanceof ReactorClientHttpConnectorBuilder;
                if (active(settings) && used != null && !routable) {
                    guard.announce("WebClient", used.getClass(), "spring.http.reactiveclient.connector");
                    builder.filter(guard);
                }
            };
        }

        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        RestClientCustomizer guardUnroutedRestClients(
                ProxySettings settings,
                ProxyRouter router,
                ObjectProvider<ClientHttpRequestFactoryBuilder<?>> factories,
                ObjectProvider<ClientHttpRequestFactorySettings> factorySettings) {
            UnroutedClientGuard guard = new UnroutedClientGuard(router, followsRedirects(factorySettings));
            return builder -> {
                Object transport = BuilderTransport.of(builder, "requestFactory");
                Object used = transport == null ? factories.getIfAvailable() : transport;
                boolean routable = used instanceof ReactorClientHttpRequestFactory
                        || used instanceof ReactorClientHttpRequestFactoryBuilder;
                if (active(settings) && used != null && !routable) {
                    guard.announce("RestClient", used.getClass(), "spring.http.client.factory");
                    builder.requestInterceptor(guard);
                }
            };
        }

        /** A RestTemplate shows what it was given last, whoever gave it. */
        @Bean
        @Order(Ordered.LOWEST_PRECEDENCE)
        RestTemplateCustomizer guardUnroutedRestTemplates(
                ProxySettings settings,
                ProxyRouter router,
                ObjectProvider<ClientHttpRequestFactorySettings> factorySettings) {
            UnroutedClientGuard guard = new UnroutedClientGuard(router, followsRedirects(factorySettings));
            return template -> {
                ClientHttpRequestFactory used = template.getRequestFactory();
                while (used instanceof AbstractClientHttpRequestFactoryWrapper wrapper) {
                    used = wrapper.getDelegate();
                }
                if (active(settings) && !(used instanceof ReactorClientHttpRequestFactory)) {
                    guard.announce("RestTemplate", used.getClass(), "spring.http.client.factory");
                    template.getInterceptors().add(guard);
                }
            };
        }

        private static boolean followsRedirects(ObjectProvider<ClientHttpRequestFactorySettings> settings) {
            return settings.stream()
                    .noneMatch(used -> used.redirects() == ClientHttpRequestFactorySettings.Redirects.DONT_FOLLOW);
        }
    }
}
