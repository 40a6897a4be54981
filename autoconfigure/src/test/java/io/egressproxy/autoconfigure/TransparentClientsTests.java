package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.awaitility.Awaitility.await;

import io.egressproxy.ConnectionType;
import io.egressproxy.HealthCheck;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyReload;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsCustomizer;
import io.egressproxy.testkit.FaultyProxy;
import io.egressproxy.testkit.ProxyKind;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.TargetServer;
import io.netty.resolver.DefaultAddressResolverGroup;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BiFunction;
import java.util.function.Function;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.boot.LazyInitializationBeanFactoryPostProcessor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.http.client.reactive.ReactorClientHttpConnectorBuilder;
import org.springframework.boot.test.context.FilteredClassLoader;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.boot.test.context.runner.ReactiveWebApplicationContextRunner;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.support.GenericApplicationContext;
import org.springframework.http.client.BufferingClientHttpRequestFactory;
import org.springframework.http.client.ClientHttpRequestFactory;
import org.springframework.http.client.ClientHttpRequestInterceptor;
import org.springframework.http.client.InterceptingClientHttpRequestFactory;
import org.springframework.http.client.JdkClientHttpRequestFactory;
import org.springframework.http.client.ReactorClientHttpRequestFactory;
import org.springframework.http.client.SimpleClientHttpRequestFactory;
import org.springframework.http.client.reactive.ClientHttpConnector;
import org.springframework.http.client.reactive.JdkClientHttpConnector;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.RestTemplate;
import org.springframework.web.reactive.function.client.ExchangeFunctions;
import org.springframework.web.reactive.function.client.WebClient;
import org.springframework.web.reactive.socket.WebSocketMessage;
import org.springframework.web.reactive.socket.client.ReactorNettyWebSocketClient;
import org.springframework.web.reactive.socket.client.WebSocketClient;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.netty.http.client.HttpClient;
import reactor.netty.transport.ProxyProvider;

/** The clients of a Spring Boot application, whose code knows nothing of proxies. */
@ExtendWith({ProxyLab.Extension.class, OutputCaptureExtension.class})
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
@Tag("FR-3")
@Tag("smoke")
class TransparentClientsTests {
    private static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final String NAME = ProxyLab.PROXY_ONLY_NAME;

    private final ProxyLab lab;
    private final TargetServer target;
    private final RunningProxy http;
    private final RunningProxy websocket;
    private final RunningProxy fallback;
    private final ApplicationContextRunner plain = new ApplicationContextRunner()
            .withPropertyValues("spring.reactor.netty.shutdown-quiet-period=0s")
            .withConfiguration(SpringBoot.autoConfigurations(SpringBoot.REACTIVE_CLIENTS))
            .withConfiguration(SpringBoot.autoConfigurations(SpringBoot.BLOCKING_CLIENTS))
            .withConfiguration(SpringBoot.autoConfigurations("SslAutoConfiguration"));
    private final ApplicationContextRunner trusting;
    private final ApplicationContextRunner routed;

    TransparentClientsTests(ProxyLab lab) {
        this.lab = lab;
        this.target = lab.newTarget();
        this.http = lab.proxy(ProxyKind.SQUID_HTTPS_CREDENTIALS);
        this.websocket = lab.proxy(ProxyKind.MICROSOCKS_SOCKS5_CREDENTIALS);
        this.fallback = lab.proxy(ProxyKind.SQUID_HTTP);
        this.trusting = plain.withPropertyValues(
                "spring.ssl.bundle.pem.lab.truststore.certificate=file:"
                        + lab.certificates().authorityFile(),
                SpringBoot.REACTIVE_BUNDLE + "=lab",
                SpringBoot.BLOCKING_BUNDLE + "=lab");
        this.routed = trusting.withPropertyValues(
                "proxy.enabled=true",
                "proxy.no-proxy=",
                "proxy.default.http.url=" + fallback.url(),
                "proxy.exchanges.binance.hosts=" + NAME,
                "proxy.exchanges.binance.require-proxy=true",
                "proxy.exchanges.binance.http.url=" + http.url(),
                "proxy.exchanges.binance.http.ssl-bundle=lab",
                "proxy.exchanges.binance.websocket.url=" + websocket.url());
    }

    @BeforeEach
    void clear() {
        target.clear();
    }

    @AfterAll
    void close() {
        target.close();
    }

    private static String webClient(ApplicationContext context, String url) {
        return get(context.getBean(WebClient.Builder.class), url);
    }

    private static String get(WebClient.Builder builder, String url) {
        return Objects.requireNonNull(builder.build()
                .get()
                .uri(url)
                .retrieve()
                .bodyToMono(String.class)
                .block(PATIENCE));
    }

    private static String restClient(ApplicationContext context, String url) {
        return Objects.requireNonNull(context.getBean(RestClient.Builder.class)
                .build()
                .get()
                .uri(url)
                .retrieve()
                .body(String.class));
    }

    private static String restTemplate(ApplicationContext context, String url) {
        return Objects.requireNonNull(SpringBoot.restTemplate(context).getForObject(url, String.class));
    }

    private static String webSocket(WebSocketClient client, String url) {
        Sinks.One<String> peer = Sinks.one();
        client.execute(URI.create(url), session -> session.receive()
                        .next()
                        .map(WebSocketMessage::getPayloadAsText)
                        .doOnNext(peer::tryEmitValue)
                        .then())
                .block(PATIENCE);
        return Objects.requireNonNull(peer.asMono().block(PATIENCE));
    }

    private void everyClient(ApplicationContext context, Function<String, String> url, RunningProxy proxy) {
        assertThat(webClient(context, url.apply("https"))).contains(proxy.egressAddress());
        assertThat(restClient(context, url.apply("https"))).contains(proxy.egressAddress());
        assertThat(restTemplate(context, url.apply("http"))).contains(proxy.egressAddress());
    }

    @Test
    void autoConfiguredClientsReachANameThatOnlyTheProxyKnows() {
        lab.assumeProxyOnlyNames();
        routed.run(context -> {
            everyClient(context, scheme -> target.url(scheme, NAME, "/whoami"), http);
            assertThat(webSocket(context.getBean(WebSocketClient.class), target.url("wss", NAME, "/ws")))
                    .contains(websocket.egressAddress());
            assertThat(target.directConnections()).isEmpty();
        });
    }

    @Test
    void aHostThatNoExchangeClaimsTakesTheDefault() {
        routed.run(context -> {
            everyClient(context, scheme -> target.url(scheme, "/whoami"), fallback);
            assertThat(target.directConnections()).isEmpty();
        });
    }

    @Test
    void aHostThatNoExchangeClaimsConnectsDirectlyWhereItIsToldTo() {
        routed.withPropertyValues("proxy.unmatched-hosts=direct").run(context -> {
            webClient(context, target.url("https", "/whoami"));
            assertThat(target.directConnections()).hasSize(1);
        });
    }

    @Test
    void theInjectorServesTwoExchangesOnOneHost() {
        routed.withPropertyValues("proxy.exchanges.coinbase.http.url=" + websocket.url())
                .run(context -> {
                    ProxyInjector injector = context.getBean(ProxyInjector.class);
                    assertThat(get(injector.webClient("binance"), target.url("https", "/whoami")))
                            .contains(http.egressAddress());
                    assertThat(get(injector.webClient("coinbase"), target.url("https", "/whoami")))
                            .contains(websocket.egressAddress());
                    assertThat(webSocket(injector.webSocketClient("binance"), target.url("wss", "/ws")))
                            .contains(websocket.egressAddress());
                    assertThat(target.directConnections()).isEmpty();
                });
    }

    @Test
    void theInjectorSaysWhatAConnectionWouldDo() {
        routed.run(context -> {
            ProxyInjector injector = context.getBean(ProxyInjector.class);
            assertThat(injector.decide("BINANCE", ConnectionType.WEBSOCKET).block(PATIENCE))
                    .hasToString("via socks5://***@127.0.0.1:" + websocket.port() + " (exchange)");
            assertThat(injector.decide("okx", ConnectionType.HTTP).block(PATIENCE))
                    .hasToString("via http://127.0.0.1:" + fallback.port() + " (default)");
            assertThat(injector.decide("okx", ConnectionType.WEBSOCKET).block(PATIENCE))
                    .isEqualTo(new ProxyDecision.Direct(ProxyDecision.Reason.NOT_CONFIGURED));
        });
    }

    @Test
    void theStartSaysWhichRouteEachExchangeTakes(CapturedOutput output) {
        routed.run(context -> assertThat(output)
                .contains("binance: http via https://***@127.0.0.1:" + http.port()
                        + " (exchange), websocket via socks5://***@")
                .contains("default: http via http://127.0.0.1:" + fallback.port()
                        + " (default), websocket DIRECT (not configured)")
                .contains("the other connects DIRECTLY: default"));
    }

    @Test
    void whileDisabledNoBeanTouchesAClient() {
        trusting.withPropertyValues("proxy.default.http.url=" + fallback.url()).run(context -> {
            assertThat(context.getBeanNamesForType(SpringBoot.CONNECTOR_CUSTOMIZER))
                    .noneMatch(name -> name.startsWith("routed"));
            assertThat(context.getBeanNamesForType(SpringBoot.REQUEST_FACTORY_CUSTOMIZER))
                    .noneMatch(name -> name.startsWith("routed"));
            webClient(context, target.url("https", "/whoami"));
            webSocket(context.getBean(WebSocketClient.class), target.url("wss", "/ws"));
            get(context.getBean(ProxyInjector.class).webClient("binance"), target.url("https", "/whoami"));
            assertThat(target.directConnections()).isEqualTo(target.seen()).isNotEmpty();
        });
    }

    @Test
    void allOfTheTreeInOneValueRoutesThemToo() {
        trusting.withPropertyValues("proxy={\"enabled\":true,\"no-proxy\":[],\"default\":{\"http\":{\"url\":\""
                        + fallback.url() + "\"}}}")
                .run(context -> {
                    webClient(context, target.url("https", "/whoami"));
                    assertThat(target.directConnections()).isEmpty();
                });
    }

    /** What no condition has seen, since it is registered later. */
    @Test
    void whatIsSwitchedOnByCodeAtLastWorksByItselfWhereNoClientIsToBeTouched() {
        trusting.withConfiguration(AutoConfigurations.of(SwitchedOnLate.class))
                .withPropertyValues("proxy.transparent=false", "proxy.default.http.pool[0].url=" + fallback.url())
                .run(context -> assertThat(context.getBeanFactory().getSingletonNames())
                        .contains("proxyHealthMonitoring", "proxySettingsWatching", "proxyDelegation"));
    }

    @Test
    @Tag("no-leak")
    void whatIsSwitchedOnByCodeAfterTheClientsWereConfiguredStopsTheStart() {
        trusting.withConfiguration(AutoConfigurations.of(SwitchedOnLate.class))
                .withPropertyValues("proxy.default.http.url=" + fallback.url())
                .run(context -> assertThat(context)
                        .getFailure()
                        .hasStackTraceContaining(
                                "proxy.enabled is true by code that says so after the clients have been"
                                        + " configured")
                        .hasStackTraceContaining("@AutoConfiguration(before = EgressProxyAutoConfiguration.class)"));
    }

    @Test
    @Tag("no-leak")
    void whatIsSwitchedOnByAnAutoConfigurationBeforeOursRoutesClients() {
        trusting.withConfiguration(AutoConfigurations.of(SwitchedOnInTime.class))
                .withPropertyValues("proxy.no-proxy=", "proxy.default.http.url=" + fallback.url())
                .run(context -> {
                    String url = target.url("http", "/whoami");
                    assertThat(webClient(context, url)).contains(fallback.egressAddress());
                    assertThat(restClient(context, url)).contains(fallback.egressAddress());
                    assertThat(restTemplate(context, url)).contains(fallback.egressAddress());
                });
    }

    @Test
    void whileDisabledNothingIsMadeButTheSettings() {
        trusting.run(context -> assertThat(context.getBeanFactory().getSingletonNames())
                .contains("proxySettings")
                .doesNotContain(
                        "proxyRouter", "clientRoutes", "proxyHealthChecks", "proxyHealthMonitoring", "proxyInjector"));
    }

    @Test
    void whatIsSwitchedOffStartsWhateverElseIsWrittenThere() {
        ApplicationContextRunner wrong = trusting.withPropertyValues(
                "proxy.default.http.url=http://proxy-without-a-port", "proxy.default.htpp.url=http://127.0.0.1:1");
        wrong.withPropertyValues("proxy.enabled=false").run(context -> {
            assertThat(context).hasNotFailed();
            webClient(context, target.url("https", "/whoami"));
            assertThat(target.directConnections()).isNotEmpty();
        });
        wrong.run(context -> assertThat(context)
                .as("not said to be off: perhaps by a mistake in that very name")
                .getFailure()
                .hasStackTraceContaining("proxy.default.htpp")
                .hasStackTraceContaining("proxy.default.http.url"));
    }

    /** Otherwise it would connect directly without a word. */
    @ParameterizedTest
    @Tag("no-leak")
    @ValueSource(
            strings = {"proxy.ENABLED=true", "proxy.en-abled=true", "proxy={\"enabled\":true}", "proxy.enable=true"})
    void whatIsSwitchedOffAndPerhapsMeantToBeOnStopsTheStart(String other) {
        trusting.withPropertyValues("proxy.enabled=false", other)
                .run(context -> assertThat(context).getFailure().hasStackTraceContaining("proxy.enable"));
    }

    @Test
    void whatIsSwitchedOffStaysSoInAReloadAndChecksNothing() {
        trusting.withPropertyValues(
                        "proxy.enabled=false",
                        "proxy.default.http.pool[0].url=http://127.0.0.1:1",
                        "proxy.default.http.strategy=no-such-thing")
                .run(context -> {
                    ProxyReload reload = context.getBean(ProxyReload.class);
                    assertThat(reload.reload()).isTrue();
                    assertThat(reload.state().needRestart()).isEmpty();
                    assertThat(context.getBean(ProxyRouter.class).pools()).isEmpty();
                });
    }

    @Test
    void codeThatSwitchesOnGetsTheSettingsThatWereSwitchedOff() {
        trusting.withConfiguration(AutoConfigurations.of(SwitchedOnInTime.class))
                .withPropertyValues(
                        "proxy.enabled=false", "proxy.no-proxy=", "proxy.default.http.url=" + fallback.url())
                .run(context -> assertThat(webClient(context, target.url("http", "/whoami")))
                        .contains(fallback.egressAddress()));
    }

    @AutoConfiguration(
            afterName = {
                "io.egressproxy.autoconfigure.boot3.Boot3HttpClientAutoConfiguration",
                "io.egressproxy.autoconfigure.boot4.Boot4HttpClientAutoConfiguration"
            })
    static class SwitchedOnLate {
        @Bean
        ProxySettingsCustomizer switchOn() {
            return settings -> settings.toBuilder().enabled(true).build();
        }
    }

    @AutoConfiguration(before = EgressProxyAutoConfiguration.class)
    static class SwitchedOnInTime extends SwitchedOnLate {}

    @Test
    void whileNotTransparentOnlyTheInjectorRoutes() {
        routed.withPropertyValues("proxy.transparent=false").run(context -> {
            webClient(context, target.url("https", "/whoami"));
            restClient(context, target.url("https", "/whoami"));
            assertThat(target.directConnections()).isNotEmpty();
            assertThat(get(context.getBean(ProxyInjector.class).webClient("binance"), target.url("https", "/whoami")))
                    .contains(http.egressAddress());
        });
    }

    @Test
    void settingsInCodeReplaceTheBoundOnes() {
        trusting.withBean(ProxySettings.class, () -> ProxySettings.builder()
                        .noProxy()
                        .defaultProxy(ConnectionType.HTTP, fallback.url())
                        .build())
                .run(context -> assertThat(webClient(context, target.url("https", "/whoami")))
                        .contains(fallback.egressAddress()));
    }

    @Test
    void aCustomizerAdjustsTheBoundSettings() {
        routed.withBean(
                        ProxySettingsCustomizer.class,
                        () -> settings -> settings.toBuilder()
                                .defaultProxy(ConnectionType.HTTP, websocket.url())
                                .build())
                .run(context -> assertThat(webClient(context, target.url("https", "/whoami")))
                        .contains(websocket.egressAddress()));
    }

    @Test
    void aClientOfTheJdkIsRefusedWhereItWouldNeedAProxyAndSaidToBeUnroutable(CapturedOutput output) {
        routed.withPropertyValues(SpringBoot.BLOCKING_TRANSPORT + "=jdk", SpringBoot.REACTIVE_TRANSPORT + "=jdk")
                .run(context -> {
                    assertThatThrownBy(() -> restClient(context, target.url("http", "/whoami")))
                            .hasStackTraceContaining(
                                    "would connect directly; set " + SpringBoot.BLOCKING_TRANSPORT + "=reactor");
                    assertThatThrownBy(() -> restTemplate(context, target.url("http", "/whoami")))
                            .hasRootCauseInstanceOf(ProxyConnectionException.class);
                    assertThatThrownBy(() -> webClient(context, target.url("http", "/whoami")))
                            .hasRootCauseInstanceOf(ProxyConnectionException.class);
                    assertThat(target.seen()).isEmpty();
                    assertThat(output)
                            .contains("auto-configured RestClient is built on JdkClientHttpRequestFactory")
                            .contains("auto-configured WebClient is built on JdkClientHttpConnector");
                });
    }

    @Test
    void aClientOfTheJdkIsRefusedAHostThatAnExchangeClaims() {
        routed.withPropertyValues(
                        SpringBoot.BLOCKING_TRANSPORT + "=jdk",
                        SpringBoot.BLOCKING_REDIRECTS + "=dont-follow",
                        "proxy.unmatched-hosts=direct",
                        "proxy.exchanges.kraken.hosts=localhost",
                        "proxy.exchanges.kraken.http.url=" + fallback.url())
                .run(context -> {
                    assertThatThrownBy(() -> restClient(context, target.url("http", "localhost", "/whoami")))
                            .hasStackTraceContaining("exchange 'kraken' http to localhost")
                            .hasStackTraceContaining("would connect directly");
                    assertThat(target.seen()).isEmpty();
                });
    }

    @Test
    void aClientOfTheJdkMayConnectDirectlyWhereThatIsTheDecisionAndNoRedirectLeadsElsewhere() {
        ApplicationContextRunner jdk =
                routed.withPropertyValues(SpringBoot.BLOCKING_TRANSPORT + "=jdk", "proxy.unmatched-hosts=direct");
        jdk.run(context -> assertThatThrownBy(() -> restClient(context, target.url("http", "/whoami")))
                .hasStackTraceContaining("set " + SpringBoot.BLOCKING_REDIRECTS + "=dont-follow"));
        jdk.withPropertyValues(SpringBoot.BLOCKING_REDIRECTS + "=dont-follow").run(context -> {
            restClient(context, target.url("http", "/whoami"));
            assertThat(target.directConnections()).hasSize(1);
        });
    }

    @Test
    void theInjectorRoutesAlsoWhereSpringBootsOwnConnectorCannotBeRouted() {
        routed.withPropertyValues(SpringBoot.REACTIVE_TRANSPORT + "=jdk").run(context -> assertThat(
                        get(context.getBean(ProxyInjector.class).webClient("okx"), target.url("http", "/whoami")))
                .contains(fallback.egressAddress()));
    }

    @Test
    void aRestTemplateThatWasGivenAnotherTransportIsRefused(CapturedOutput output) {
        SpringBoot.with(routed, SpringBoot.REST_TEMPLATE_CUSTOMIZER, template -> {
                    ((RestTemplate) template).setRequestFactory(new SimpleClientHttpRequestFactory());
                    return template;
                })
                .run(context -> {
                    assertThatThrownBy(() -> restTemplate(context, target.url("http", "/whoami")))
                            .hasRootCauseInstanceOf(ProxyConnectionException.class);
                    assertThat(output).contains("RestTemplate is built on SimpleClientHttpRequestFactory");
                    assertThat(target.seen()).isEmpty();
                });
    }

    @Test
    void aCustomizerOfTheApplicationsOwnThatBringsAnotherTransportIsRefused(CapturedOutput output) {
        ApplicationContextRunner own =
                SpringBoot.with(routed, SpringBoot.WEB_CLIENT_CUSTOMIZER, builder -> ((WebClient.Builder) builder)
                        .clientConnector(new JdkClientHttpConnector()));
        SpringBoot.with(own, SpringBoot.REST_CLIENT_CUSTOMIZER, builder -> ((RestClient.Builder) builder)
                        .requestFactory(new JdkClientHttpRequestFactory()))
                .run(context -> {
                    assertThatThrownBy(() -> webClient(context, target.url("http", "/whoami")))
                            .hasRootCauseInstanceOf(ProxyConnectionException.class);
                    assertThatThrownBy(() -> restClient(context, target.url("http", "/whoami")))
                            .hasRootCauseInstanceOf(ProxyConnectionException.class);
                    assertThat(output)
                            .contains("WebClient is built on JdkClientHttpConnector ")
                            .contains("RestClient is built on JdkClientHttpRequestFactory ");
                    assertThat(target.seen()).isEmpty();
                });
    }

    @Test
    @Tag("no-leak")
    void aReactorClientOfTheApplicationsOwnIsRefusedUnlessItHasRoutes(CapturedOutput output) {
        ApplicationContextRunner own =
                SpringBoot.with(routed, SpringBoot.WEB_CLIENT_CUSTOMIZER, builder -> ((WebClient.Builder) builder)
                        .clientConnector(new ReactorClientHttpConnector(HttpClient.create())));
        own = SpringBoot.with(own, SpringBoot.REST_CLIENT_CUSTOMIZER, builder -> ((RestClient.Builder) builder)
                .requestFactory(new BufferingClientHttpRequestFactory(
                        new ReactorClientHttpRequestFactory(HttpClient.create()))));
        SpringBoot.with(own, SpringBoot.REST_TEMPLATE_CUSTOMIZER, template -> {
                    ((RestTemplate) template)
                            .setRequestFactory(new ReactorClientHttpRequestFactory(HttpClient.create()));
                    return template;
                })
                .run(context -> {
                    String url = target.url("http", "/whoami");
                    assertThatThrownBy(() -> webClient(context, url))
                            .hasStackTraceContaining("build it on one from ProxyInjector.customize(..)");
                    assertThatThrownBy(() -> restClient(context, url))
                            .hasStackTraceContaining("an HttpClient of its own that has no routes");
                    assertThatThrownBy(() -> restTemplate(context, url))
                            .hasRootCauseInstanceOf(ProxyConnectionException.class);
                    assertThat(output).contains("auto-configured WebClient is built on ReactorClientHttpConnector");
                    assertThat(target.seen()).isEmpty();
                });
    }

    @Test
    @Tag("no-leak")
    @SuppressWarnings("unchecked")
    void aReactorClientOfTheApplicationsOwnThatHasRoutesIsLeftAlone(CapturedOutput output) {
        routed.withInitializer(context -> ((GenericApplicationContext) context)
                        .registerBean(
                                (Class<Object>) SpringBoot.WEB_CLIENT_CUSTOMIZER,
                                () -> SpringBoot.customizer(
                                        SpringBoot.WEB_CLIENT_CUSTOMIZER, builder -> ((WebClient.Builder) builder)
                                                .clientConnector(new ReactorClientHttpConnector(context.getBean(
                                                                ProxyInjector.class)
                                                        .customize(HttpClient.create(), "okx", ConnectionType.HTTP))))))
                .run(context -> {
                    assertThat(webClient(context, target.url("http", "/whoami")))
                            .contains(fallback.egressAddress());
                    assertThat(output).doesNotContain("cannot be routed");
                });
    }

    @Test
    @Tag("no-leak")
    void anExchangeFunctionOfTheApplicationsOwnIsRefusedWhereAProxyIsNeeded(CapturedOutput output) {
        ApplicationContextRunner own = SpringBoot.with(
                        routed, SpringBoot.WEB_CLIENT_CUSTOMIZER, builder -> ((WebClient.Builder) builder)
                                .exchangeFunction(ExchangeFunctions.create(new JdkClientHttpConnector())))
                .withPropertyValues("proxy.no-proxy=localhost");
        own.run(context -> assertThatThrownBy(() -> webClient(context, target.url("http", "localhost", "/whoami")))
                .hasStackTraceContaining("it may be redirected by the target")
                .hasStackTraceContaining("if it follows none, set " + SpringBoot.REACTIVE_REDIRECTS + "=dont-follow"));
        own.withPropertyValues(SpringBoot.REACTIVE_REDIRECTS + "=dont-follow").run(context -> {
            assertThat(webClient(context, target.url("http", "localhost", "/whoami")))
                    .contains("127.0.0.1");
            target.clear();
            assertThatThrownBy(() -> webClient(context, target.url("http", "/whoami")))
                    .hasStackTraceContaining("it would connect directly; give it a clientConnector instead");
            assertThatThrownBy(() -> context.getBean(ProxyInjector.class).webClient("binance"))
                    .hasMessageContaining("gives clients an exchangeFunction");
            assertThat(output).contains("WebClient is built on ").contains("given an exchangeFunction");
            assertThat(target.seen()).isEmpty();
        });
    }

    @Test
    @Tag("no-leak")
    void interceptorsOfTheApplicationsOwnDoNotTakeThePlaceOfTheGuard() {
        routed.withPropertyValues(SpringBoot.BLOCKING_TRANSPORT + "=jdk", SpringBoot.REACTIVE_TRANSPORT + "=jdk")
                .run(context -> {
                    String url = target.url("http", "/whoami");
                    RestTemplate template = SpringBoot.restTemplate(context);
                    template.setInterceptors(List.of((request, body, next) -> next.execute(request, body)));
                    assertThatThrownBy(() -> template.getForObject(url, String.class))
                            .hasRootCauseInstanceOf(ProxyConnectionException.class);
                    RestClient blocking = context.getBean(RestClient.Builder.class)
                            .requestInterceptors(List::clear)
                            .build();
                    assertThatThrownBy(() -> blocking.get().uri(url).retrieve().body(String.class))
                            .hasRootCauseInstanceOf(ProxyConnectionException.class);
                    WebClient.Builder reactive =
                            context.getBean(WebClient.Builder.class).filters(List::clear);
                    assertThatThrownBy(() -> get(reactive, url)).hasRootCauseInstanceOf(ProxyConnectionException.class);
                    assertThat(target.seen()).isEmpty();
                });
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void interceptorsOfTheApplicationsOwnRunOnceBeforeTheGuard(boolean inTheTransport) {
        AtomicInteger runs = new AtomicInteger();
        ClientHttpRequestInterceptor counting = (request, body, next) -> {
            runs.incrementAndGet();
            return next.execute(request, body);
        };
        SpringBoot.with(routed, SpringBoot.REST_TEMPLATE_CUSTOMIZER, customized -> {
                    RestTemplate template = (RestTemplate) customized;
                    ClientHttpRequestFactory jdk =
                            new JdkClientHttpRequestFactory(java.net.http.HttpClient.newHttpClient());
                    if (inTheTransport) {
                        template.setRequestFactory(new InterceptingClientHttpRequestFactory(jdk, List.of(counting)));
                    } else {
                        template.setRequestFactory(jdk);
                        template.setInterceptors(List.of(counting));
                    }
                    return template;
                })
                .withPropertyValues("proxy.no-proxy=127.0.0.1")
                .run(context -> {
                    restTemplate(context, target.url("http", "127.0.0.1", "/whoami"));
                    assertThat(runs).hasValue(1);
                    assertThatThrownBy(() -> restTemplate(context, target.url("http", "localhost", "/whoami")))
                            .hasRootCauseInstanceOf(ProxyConnectionException.class);
                });
    }

    /** Whatever the property says, which counts for what Spring Boot builds only. */
    @Test
    @Tag("no-leak")
    void aClientOfTheApplicationsOwnThatFollowsRedirectsIsRefusedAlsoWhereItMayConnectDirectly() {
        ApplicationContextRunner some = routed.withPropertyValues(
                "proxy.no-proxy=127.0.0.1",
                SpringBoot.BLOCKING_REDIRECTS + "=dont-follow",
                SpringBoot.REACTIVE_REDIRECTS + "=dont-follow");
        HttpClient following = HttpClient.create().followRedirect(true);
        assertBlockingIsRefused(some, new ReactorClientHttpRequestFactory(following), true);
        assertBlockingIsRefused(some, new ReactorClientHttpRequestFactory(HttpClient.create()), false);
        assertReactiveIsRefused(some, new ReactorClientHttpConnector(following), true);
        assertReactiveIsRefused(some, new ReactorClientHttpConnector(HttpClient.create()), false);
        java.net.http.HttpClient jdk = java.net.http.HttpClient.newBuilder()
                .followRedirects(java.net.http.HttpClient.Redirect.ALWAYS)
                .build();
        assertBlockingIsRefused(some, new JdkClientHttpRequestFactory(jdk), true);
        assertBlockingIsRefused(
                some, new BufferingClientHttpRequestFactory(new JdkClientHttpRequestFactory(jdk)), true);
        assertReactiveIsRefused(some, new JdkClientHttpConnector(jdk), true);
        assertReactiveIsRefused(some, new JdkClientHttpConnector(), false); // follows none unless it is told
    }

    private void assertBlockingIsRefused(
            ApplicationContextRunner some, ClientHttpRequestFactory transport, boolean refused) {
        String url = target.url("http", "127.0.0.1", "/whoami");
        SpringBoot.with(some, SpringBoot.REST_CLIENT_CUSTOMIZER, builder -> ((RestClient.Builder) builder)
                        .requestFactory(transport))
                .run(context -> assertIsRefused(() -> restClient(context, url), refused));
        SpringBoot.with(some, SpringBoot.REST_TEMPLATE_CUSTOMIZER, template -> {
                    ((RestTemplate) template).setRequestFactory(transport);
                    return template;
                })
                .run(context -> assertIsRefused(() -> restTemplate(context, url), refused));
    }

    private void assertReactiveIsRefused(
            ApplicationContextRunner some, ClientHttpConnector transport, boolean refused) {
        SpringBoot.with(some, SpringBoot.WEB_CLIENT_CUSTOMIZER, builder -> ((WebClient.Builder) builder)
                        .clientConnector(transport))
                .run(context ->
                        assertIsRefused(() -> webClient(context, target.url("http", "127.0.0.1", "/whoami")), refused));
    }

    private static void assertIsRefused(ThrowingCallable request, boolean refused) {
        if (refused) {
            assertThatThrownBy(request)
                    .hasStackTraceContaining("it may be redirected by the target")
                    .hasStackTraceContaining("have it follow none");
        } else {
            assertThatCode(request).doesNotThrowAnyException();
        }
    }

    /** Spring Boot makes some there: 4.1 always, 3.5 with virtual threads, on what it finds and nobody has customized. */
    @Test
    @Tag("no-leak")
    void blockingClientsOfAReactiveApplicationAreRoutedToo() {
        new ReactiveWebApplicationContextRunner()
                .withConfiguration(SpringBoot.autoConfigurations(SpringBoot.REACTIVE_CLIENTS))
                .withConfiguration(SpringBoot.autoConfigurations(SpringBoot.BLOCKING_CLIENTS))
                .withConfiguration(SpringBoot.autoConfigurations("TaskExecutionAutoConfiguration"))
                .withPropertyValues(
                        "spring.reactor.netty.shutdown-quiet-period=0s",
                        "spring.threads.virtual.enabled=true",
                        SpringBoot.BLOCKING_TRANSPORT + "=jdk",
                        "proxy.enabled=true",
                        "proxy.no-proxy=",
                        "proxy.default.http.url=" + fallback.url())
                .run(context -> {
                    boolean some = context.getBeanNamesForType(RestClient.Builder.class).length > 0;
                    assertThat(some)
                            .isEqualTo(!SpringBoot.FIRST || Runtime.version().feature() >= 21);
                    if (some) {
                        assertThat(restClient(context, target.url("http", "/whoami")))
                                .contains(fallback.egressAddress());
                    }
                    assertThat(target.directConnections()).isEmpty();
                });
    }

    private static HttpClient withAProxyAndAResolver(HttpClient client) {
        return client.resolver(DefaultAddressResolverGroup.INSTANCE)
                .proxy(proxy ->
                        proxy.type(ProxyProvider.Proxy.HTTP).host("127.0.0.1").port(1));
    }

    @Test
    void aCustomizerOfTheApplicationsOwnThatSetsAProxyOrAResolverGivesWay() {
        SpringBoot.with(routed, SpringBoot.CONNECTOR_CUSTOMIZER, builder -> ((ReactorClientHttpConnectorBuilder)
                                builder)
                        .withHttpClientCustomizer(TransparentClientsTests::withAProxyAndAResolver))
                .run(context -> assertThat(webClient(context, target.url("https", "/whoami")))
                        .contains(fallback.egressAddress()));
    }

    @Test
    void aPoolServesTransparentClientsAndItsStrategyAndCheckMayBeBeans() {
        List<String> checked = new CopyOnWriteArrayList<>();
        routed.withPropertyValues(
                        "proxy.default.http.url=",
                        "proxy.default.http.pool=" + websocket.url() + "," + fallback.url(),
                        "proxy.default.http.strategy=lastOne",
                        "proxy.default.http.health-check.method=noted")
                .withBean("lastOne", ProxySelectionStrategy.class, () -> (candidates, host) -> candidates.size() - 1)
                .withBean("noted", HealthCheck.class, () -> request -> {
                    checked.add(request.proxy().toString());
                    return Mono.empty();
                })
                .run(context -> {
                    everyClient(context, scheme -> target.url(scheme, "/whoami"), fallback);
                    await().atMost(PATIENCE).untilAsserted(() -> assertThat(checked)
                            .contains("socks5://***@127.0.0.1:" + websocket.port()));
                });
    }

    @ParameterizedTest
    @CsvSource({
        "strategy, fastest, there is no strategy 'fastest'",
        "health-check.method, magic, there is no such check"
    })
    void aStrategyOrACheckThatDoesNotExistStopsTheStart(String key, String value, String message) {
        plain.withPropertyValues(
                        "proxy.enabled=true",
                        "proxy.default.http.pool=http://a:1,http://b:1",
                        "proxy.default.http." + key + "=" + value)
                .run(context -> assertThat(context.getStartupFailure()).hasStackTraceContaining(message));
    }

    @Test
    void aLazyApplicationIsStoppedByWrongSettingsAsWell() {
        plain.withPropertyValues("proxy.enabeld=true")
                .withInitializer(context ->
                        context.addBeanFactoryPostProcessor(new LazyInitializationBeanFactoryPostProcessor()))
                .run(context ->
                        assertThat(context.getStartupFailure()).hasStackTraceContaining("did you mean proxy.enabled?"));
    }

    @Test
    void aConnectorOfTheApplicationsOwnIsNamedAtStart(CapturedOutput output) {
        routed.withBean(
                        "myConnector",
                        ClientHttpConnector.class,
                        () -> new ReactorClientHttpConnector(HttpClient.create()))
                .withBean("myBuilder", WebClient.Builder.class, WebClient::builder)
                .run(context ->
                        assertThat(output).contains("are not routed through proxies unless", "myBuilder, myConnector"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"proxy.default.http", "proxy.exchanges.binance.websocket"})
    void anSslBundleThatDoesNotExistStopsTheStart(String entry) {
        plain.withPropertyValues("proxy.enabled=true", entry + ".url=https://p:1", entry + ".ssl-bundle=nope")
                .run(context -> assertThat(context.getStartupFailure())
                        .hasStackTraceContaining(entry + ".ssl-bundle names the SSL bundle 'nope'"));
    }

    @ParameterizedTest
    @ValueSource(classes = {HttpClient.class, WebClient.class})
    void withoutWebFluxOrReactorNettyTheLibraryStepsBackUnlessItIsEnabled(Class<?> missing) {
        ApplicationContextRunner without = plain.withConfiguration(
                        AutoConfigurations.of(MissingClientLibraryAutoConfiguration.class))
                .withClassLoader(new FilteredClassLoader(missing));
        without.run(context -> assertThat(context).hasNotFailed().doesNotHaveBean(ProxyInjector.class));
        without.withPropertyValues("proxy.enabled=true").run(context -> assertThat(context.getStartupFailure())
                .hasStackTraceContaining("is not on the class path, so that nothing can be routed"));
    }

    @Test
    void beansOfTheApplicationsOwnTakeTheirPlace() {
        WebSocketClient own = new ReactorNettyWebSocketClient();
        routed.withBean(WebSocketClient.class, () -> own)
                .run(context ->
                        assertThat(context.getBean(WebSocketClient.class)).isSameAs(own));
    }

    @Test
    @Tag("no-interruption")
    void everyKindOfClientGoesOnToTheNextProxyOfAPool() {
        plain.withPropertyValues(
                        "proxy.enabled=true",
                        "proxy.no-proxy=",
                        "proxy.default.http.pool[0].url=socks5://127.0.0.1:" + FaultyProxy.closedPort(),
                        "proxy.default.http.pool[1].url=" + fallback.url(),
                        "proxy.default.websocket.pool[0].url=socks5://127.0.0.1:" + FaultyProxy.closedPort(),
                        "proxy.default.websocket.pool[1].url=" + fallback.url())
                .run(context -> {
                    List<BiFunction<ApplicationContext, String, String>> clients = List.of(
                            TransparentClientsTests::webClient,
                            TransparentClientsTests::restClient,
                            TransparentClientsTests::restTemplate,
                            (beans, url) -> webSocket(
                                    beans.getBean(WebSocketClient.class),
                                    "ws" + url.substring(4).replace("/whoami", "/ws")));
                    for (BiFunction<ApplicationContext, String, String> client : clients) {
                        for (int i = 0; i < 2; i++) { // one of the two comes to the dead proxy first
                            try (TargetServer fresh = lab.newTarget()) { // so that a connection has to be opened
                                assertThat(client.apply(context, fresh.url("http", "/whoami")))
                                        .contains(fallback.egressAddress());
                                assertThat(fresh.directConnections()).isEmpty();
                            }
                        }
                    }
                });
    }
}
