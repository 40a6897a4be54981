package io.egressproxy.examples;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.egressproxy.ProxyInjector;
import io.egressproxy.sample.SampleApplication;
import io.egressproxy.sample.SamplePorts;
import io.gate.gateapi.ApiClient;
import io.gate.gateapi.ApiException;
import io.gate.gateapi.api.SpotApi;
import io.gate.gateapi.models.Ticker;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.nio.NioEventLoopGroup;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.ConnectException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.SpringBootTest.WebEnvironment;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.core.env.Environment;
import org.springframework.http.client.ReactorResourceFactory;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;
import org.springframework.web.reactive.function.client.WebClient;
import org.springframework.web.server.WebFilter;
import reactor.core.Disposable;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;

/** Each example reads from the sample's exchange, which says whom it has seen. */
@SpringBootTest(
        classes = SampleApplication.class,
        webEnvironment = WebEnvironment.RANDOM_PORT,
        properties = {
            "binance.url=http://api.binance.test:${sample.local-exchange.port}",
            "binance.stream=ws://stream.binance.test:${sample.local-exchange.port}/ws"
        })
@Import({TickerWebClient.class, TickStream.class, RawTicker.class})
@Timeout(120)
class ClientExamplesTests {

    private static final Duration LIMIT = Duration.ofSeconds(20);
    private static final String VIA_HTTP = "\"seenFrom\":\"proxy \\\"http-local\\\"\"";
    private static final String VIA_SOCKS5 = "\"seenFrom\":\"proxy \\\"socks5-local\\\"\"";

    @LocalServerPort
    private int port;

    @DynamicPropertySource
    static void freePorts(DynamicPropertyRegistry registry) {
        SamplePorts.register(registry);
    }

    @Test
    void aWebClient(@Autowired TickerWebClient example) {
        assertThat(example.ticker("BTC-USDT").block(LIMIT)).contains(VIA_HTTP);
    }

    /** Spring Boot has no {@code RestClient.Builder} for reactive web applications, such as the sample is one. */
    @EnableAutoConfiguration
    @Configuration(proxyBeanMethods = false)
    @Import({TickerRestClient.class, Tickers.Clients.class, OwnResources.class})
    static class BlockingApplication {}

    /** Those that all share would end with the first application that ends, and others are in this JVM as well. */
    static class OwnResources {
        @Bean
        ReactorResourceFactory reactorResourceFactory() {
            ReactorResourceFactory resources = new ReactorResourceFactory();
            resources.setUseGlobalResources(false);
            return resources;
        }
    }

    @Test
    void aRestClientAndAnInterface(@Autowired Environment sample) {
        String http = "http://127.0.0.1:" + sample.getRequiredProperty("sample.local-proxies.http-port");
        try (ConfigurableApplicationContext application = new SpringApplicationBuilder(BlockingApplication.class)
                .web(WebApplicationType.NONE)
                .properties(
                        "spring.config.location=optional:classpath:/none/",
                        "proxy.enabled=true",
                        "proxy.default.http.url=" + http,
                        "binance.url=" + sample.getRequiredProperty("binance.url"))
                .run()) {
            assertThat(application.getBean(TickerRestClient.class).ticker("BTC-USDT"))
                    .contains(VIA_HTTP);
            assertThat(application.getBean(Tickers.class).ticker("BTC-USDT")).contains(VIA_HTTP);
        }
    }

    @Test
    void aWebSocketThatConnectsAgain(@Autowired TickStream example) {
        ConcurrentLinkedQueue<String> ticks = new ConcurrentLinkedQueue<>();
        Disposable running = example.ticks().subscribe(ticks::add);
        try {
            awaitTick(ticks);
            proxy("socks5-local", "stop");
            ticks.clear();
            proxy("socks5-local", "start");
            awaitTick(ticks);
        } finally {
            running.dispose();
            proxy("socks5-local", "start");
        }
    }

    private static void awaitTick(ConcurrentLinkedQueue<String> ticks) {
        Awaitility.await().atMost(LIMIT).untilAsserted(() -> assertThat(ticks)
                .isNotEmpty()
                .allSatisfy(tick -> assertThat(tick).contains(VIA_SOCKS5)));
    }

    private void proxy(String name, String command) {
        WebClient.create("http://127.0.0.1:" + port)
                .post()
                .uri("/local-proxies/{name}/{command}", name, command)
                .retrieve()
                .toBodilessEntity()
                .block(LIMIT);
    }

    @Test
    void reactorNettyItself(@Autowired RawTicker example) {
        assertThat(example.ticker("BTC-USDT").block(LIMIT)).contains(VIA_HTTP);
        assertThat(example.ticks().blockFirst(LIMIT)).contains(VIA_SOCKS5);
    }

    @Test
    void aClientThatWeDoNotKnow(@Autowired ProxyInjector injector, @Autowired Environment sample) {
        CountedLeases leases = new CountedLeases(injector);
        ProxyInjector proxies = leases.counted();
        int exchange = sample.getRequiredProperty("sample.local-exchange.port", Integer.class);
        EventLoopGroup eventLoops = new NioEventLoopGroup(1);
        LeasedConnections example = new LeasedConnections(proxies, eventLoops);
        try {
            assertThat(talk(example, exchange)).contains(VIA_SOCKS5);
            proxy("socks5-local", "stop");
            try {
                assertThatThrownBy(() -> talk(example, exchange)).hasRootCauseInstanceOf(ConnectException.class);
            } finally {
                proxy("socks5-local", "start");
            }
            assertThat(talk(example, exchange)).contains(VIA_SOCKS5);
            proxy("socks5-local", "freeze");
            example.connect("binance", "stream.binance.test", exchange)
                    .timeout(Duration.ofMillis(300), Mono.empty())
                    .block(LIMIT);
            proxy("socks5-local", "start");
            Awaitility.await().atMost(LIMIT).untilAsserted(() -> assertThat(leases.opened.sum())
                    .as("each lease is given back")
                    .isEqualTo(leases.ended.sum()));
        } finally {
            eventLoops.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
        }
    }

    private static String talk(LeasedConnections example, int exchange) {
        Channel channel =
                example.connect("binance", "stream.binance.test", exchange).block(LIMIT);
        StringBuffer answer = new StringBuffer();
        channel.pipeline().addLast(new SimpleChannelInboundHandler<ByteBuf>() {
            @Override
            protected void channelRead0(ChannelHandlerContext context, ByteBuf bytes) {
                answer.append(bytes.toString(StandardCharsets.UTF_8));
            }
        });
        channel.writeAndFlush(Unpooled.copiedBuffer(
                "GET /ticker HTTP/1.1\r\nHost: stream.binance.test\r\n\r\n", StandardCharsets.UTF_8));
        try {
            Awaitility.await().atMost(LIMIT).until(() -> answer.toString().contains("seenFrom"));
            return answer.toString();
        } finally {
            channel.close();
        }
    }

    /** Gate's own library. Only the proxies know the name that it connects to. */
    @Test
    void aLibraryOfAnExchange(@Autowired ProxyInjector proxies) throws ApiException, IOException {
        DisposableServer gate = HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .route(routes -> routes.get("/silent", (request, response) -> Mono.never())
                        .post(
                                "/echo",
                                (request, response) -> response.sendString(request.receive()
                                        .aggregate()
                                        .asString()
                                        .map(body -> request.requestHeaders().get("Content-Type") + " " + body)))
                        .get("/api/v4/spot/tickers", (request, response) -> response.header(
                                        "Content-Type", "application/json")
                                .sendString(Mono.just("[{\"currency_pair\": \"BTC_USDT\", \"last\": \"64000.5\"}]")))
                        .get("/api/v4/spot/currency_pairs/{pair}", (request, response) -> response.status(400)
                                .header("Content-Type", "application/json")
                                .sendString(
                                        Mono.just("{\"label\": \"INVALID_CURRENCY\", \"message\": \"no such pair\"}"))))
                .bindNow();
        try {
            ApiClient client = new ApiClient();
            client.setHttpClient(new OkHttpClient.Builder()
                    .addInterceptor(new RoutedCalls(proxies, "gate"))
                    .build());
            client.setBasePath("http://api.gate.test:" + gate.port() + "/api/v4");
            SpotApi spot = new SpotApi(client);

            List<Ticker> tickers = spot.listTickers().currencyPair("BTC_USDT").execute();
            assertThat(tickers).singleElement().extracting(Ticker::getLast).isEqualTo("64000.5");
            assertThatThrownBy(() -> spot.getCurrencyPair("NO_PAIR"))
                    .isInstanceOf(ApiException.class)
                    .hasMessageContaining("no such pair");
            RoutedCalls calls = new RoutedCalls(proxies, "gate");
            OkHttpClient okHttp = new OkHttpClient.Builder()
                    .readTimeout(Duration.ofSeconds(2))
                    .connectTimeout(Duration.ofSeconds(2))
                    .addInterceptor(calls)
                    .build();
            String url = "http://api.gate.test:" + gate.port();
            Request post = new Request.Builder()
                    .url(url + "/echo")
                    .post(RequestBody.create("x".repeat(1_000_000), MediaType.get("text/plain")))
                    .build();
            try (Response echoed = okHttp.newCall(post).execute()) {
                assertThat(echoed.body().string()).startsWith("text/plain").hasSizeGreaterThan(1_000_000);
            }
            Request silent = new Request.Builder().url(url + "/silent").build();
            assertThatThrownBy(() -> okHttp.newCall(silent).execute()).isInstanceOf(IOException.class);
            client.setBasePath("http://api.gate.test:1/api/v4");
            assertThatThrownBy(() -> spot.listTickers().execute()).hasStackTraceContaining("exchange 'gate'");
        } finally {
            gate.disposeNow();
        }
    }

    @EnableAutoConfiguration
    @Configuration(proxyBeanMethods = false)
    @Import(OwnResources.class)
    static class ServiceApplication {
        static final List<String> asked = new CopyOnWriteArrayList<>();

        @Bean
        MinimalProxyService minimalProxyService(Environment environment) {
            return new MinimalProxyService(
                    List.of(new MinimalProxyService.Proxy(
                            "proxy-1", "http://127.0.0.1:" + environment.getRequiredProperty("test.proxy-port"))),
                    "a-token");
        }

        @Bean
        WebFilter filter() {
            return (exchange, chain) -> {
                asked.add(exchange.getRequest().getPath().value());
                return chain.filter(exchange);
            };
        }
    }

    @Test
    void aServiceOfOnesOwn(@Autowired Environment sample) {
        String none = "spring.config.location=optional:classpath:/none/";
        try (ConfigurableApplicationContext service = new SpringApplicationBuilder(ServiceApplication.class)
                        .web(WebApplicationType.REACTIVE)
                        .properties(
                                none,
                                "server.port=0",
                                "test.proxy-port=" + sample.getRequiredProperty("sample.local-proxies.http-port"))
                        .run();
                ConfigurableApplicationContext application = new SpringApplicationBuilder(BlockingApplication.class)
                        .web(WebApplicationType.NONE)
                        .properties(
                                none,
                                "proxy.enabled=true",
                                "proxy.external-service.enabled=true",
                                "proxy.external-service.endpoints=http://127.0.0.1:"
                                        + service.getEnvironment().getProperty("local.server.port"),
                                "proxy.external-service.auth-credentials.token=a-token",
                                "binance.url=" + sample.getRequiredProperty("binance.url"))
                        .run()) {
            assertThat(application.getBean(TickerRestClient.class).ticker("BTC-USDT"))
                    .contains(VIA_HTTP);
            Awaitility.await().atMost(LIMIT).untilAsserted(() -> assertThat(ServiceApplication.asked)
                    .contains("/health", "/api/v1/proxy/request", "/api/v1/proxy/feedback/batch"));
        }
    }

    @Test
    void thePageHasEachExampleAsItIsHere() throws IOException {
        String sources;
        try (Stream<Path> files = Files.list(Path.of("src/test/java/io/egressproxy/examples"))) {
            sources = files.map(ClientExamplesTests::read).collect(Collectors.joining());
        }
        List<String> examples = Pattern.compile("```java\n(.*?)```", Pattern.DOTALL)
                .matcher(Files.readString(Path.of("../docs/clients.md"))
                        + Files.readString(Path.of("../docs/delegation.md")))
                .results()
                .map(block -> block.group(1))
                .toList();
        assertThat(examples).hasSize(9);
        assertThat(examples)
                .allSatisfy(example -> assertThat(unindented(sources)).contains(unindented(example)));
    }

    private static String read(Path file) {
        try {
            return Files.readString(file);
        } catch (IOException unreadable) {
            throw new UncheckedIOException(unreadable);
        }
    }

    private static String unindented(String text) {
        return text.lines().map(String::strip).collect(Collectors.joining("\n"));
    }
}
