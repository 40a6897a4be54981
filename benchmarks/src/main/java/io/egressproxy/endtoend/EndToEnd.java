package io.egressproxy.endtoend;

import io.egressproxy.ProxyInjector;
import io.micrometer.core.instrument.MeterRegistry;
import io.netty.channel.ChannelOption;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;
import reactor.netty.resources.ConnectionProvider;
import reactor.netty.tcp.TcpClient;
import reactor.netty.transport.ProxyProvider;

/**
 * Requests through real proxies: by the library, and by the same client with the proxy hard-coded, twice. In each round all take their turn, in an
 * order by chance; many at a time first, so that the code is compiled when each is measured alone.
 *
 * <p>Arguments: the file for the measurements, how many rounds, how many milliseconds each.
 */
final class EndToEnd {
    private static final String EXCHANGE = "benchmark";
    private static final int WARM_UP_ROUNDS = 5;
    private static final int LONG_WARM_UP_ROUNDS = 25;
    private static final int WARM_UP_AT_A_TIME = 8;

    private final Measurements measurements = new Measurements();
    private final int rounds;
    private final Duration round;
    private final String target;
    private final Children children;

    private EndToEnd(Children children, String target, int rounds, Duration round) {
        this.children = children;
        this.target = target;
        this.rounds = rounds;
        this.round = round;
    }

    public static void main(String[] arguments) throws IOException {
        int rounds = Integer.parseInt(arguments[1]);
        Duration round = Duration.ofMillis(Long.parseLong(arguments[2]));
        try (Children children = new Children()) {
            String target = "http://127.0.0.1:" + children.java(Target.class, List.of());
            EndToEnd all = new EndToEnd(children, target, rounds, round);
            Load.run(
                    all.request(HttpClient.create()),
                    16,
                    round.multipliedBy(WARM_UP_ROUNDS)); // the first compared is not the first at all
            all.throughProxies("socks5", children.microsocks(), ProxyProvider.Proxy.SOCKS5);
            all.throughProxies("http", children.tinyproxy(), ProxyProvider.Proxy.HTTP);
            all.firstOfTwoRefuses();
            all.disabled();
            all.measurements.write(arguments[0]);
        }
        System.exit(0); // event loops that are nobody's
    }

    private void throughProxies(String scheme, int port, ProxyProvider.Proxy type) {
        Map<String, Object> properties = pool(scheme + "://127.0.0.1:" + port, scheme + "://127.0.0.2:" + port);
        try (ConfigurableApplicationContext context = Applications.start(properties)) {
            ProxyInjector injector = context.getBean(ProxyInjector.class);
            for (int atATime : new int[] {16, 1}) {
                Map<String, Mono<?>> clients = new LinkedHashMap<>();
                clients.put("hard-coded", request(hardCoded(pooled(), type, port)));
                clients.put("ours", request(injector.customize(pooled(), EXCHANGE)));
                clients.put("hard-coded again", request(hardCoded(pooled(), type, port)));
                compare(scheme + ", keep-alive, " + atATime + " at a time", atATime, clients);
            }
            for (int atATime : new int[] {8, 1}) {
                Map<String, Mono<?>> clients = new LinkedHashMap<>();
                clients.put("hard-coded", request(hardCoded(HttpClient.newConnection(), type, port)));
                clients.put("ours", request(injector.customize(HttpClient.newConnection(), EXCHANGE)));
                clients.put("hard-coded again", request(hardCoded(HttpClient.newConnection(), type, port)));
                compare(scheme + ", new connection, " + atATime + " at a time", atATime, clients);
            }
            double decisions = context.getBean(MeterRegistry.class)
                    .get("proxy.decisions")
                    .tag("source", "embedded")
                    .counter()
                    .count();
            if (decisions < rounds) {
                throw new IllegalStateException("only " + decisions + " connections went through the library");
            }
        }
    }

    /**
     * Each connection is refused by one proxy first. Beside it the hard-coded client asks the refusing proxy, and on its error the other; and does no
     * more than a bare connect that is refused.
     */
    private void firstOfTwoRefuses() throws IOException {
        int good = children.microsocks();
        int refusing = Children.freePort();
        Map<String, Object> properties = pool("socks5://127.0.0.1:" + refusing, "socks5://127.0.0.1:" + good);
        properties.put("proxy.default.http.strategy", "first");
        properties.put("proxy.default.http.circuit-breaker.enabled", "false");
        properties.put("proxy.default.http.health-check.enabled", "false");
        try (ConfigurableApplicationContext context = Applications.start(properties)) {
            ProxyInjector injector = context.getBean(ProxyInjector.class);
            Mono<String> hardCoded = request(hardCoded(HttpClient.newConnection(), ProxyProvider.Proxy.SOCKS5, good));
            Mono<?> refused = TcpClient.newConnection()
                    .host("127.0.0.1")
                    .port(refusing)
                    .connect()
                    .then(Mono.<String>empty())
                    .onErrorResume(expected -> Mono.empty());
            Map<String, Mono<?>> clients = new LinkedHashMap<>();
            clients.put("hard-coded", hardCoded);
            clients.put("hard-coded, after a bare refused connect", refused.then(hardCoded));
            clients.put(
                    "hard-coded, refusing proxy first",
                    request(hardCoded(HttpClient.newConnection(), ProxyProvider.Proxy.SOCKS5, refusing))
                            .onErrorResume(expected -> hardCoded));
            clients.put("ours", request(injector.customize(HttpClient.newConnection(), EXCHANGE)));
            clients.put(
                    "hard-coded again",
                    request(hardCoded(HttpClient.newConnection(), ProxyProvider.Proxy.SOCKS5, good)));
            // the code for what fails is not shared with what was measured before, nor with the other clients
            warmUp(clients, WARM_UP_AT_A_TIME, LONG_WARM_UP_ROUNDS);
            compare("first of two proxies refuses, 1 at a time", 1, clients);
        }
    }

    /** Spring's own WebClient, straight to the target. */
    private void disabled() {
        try (ConfigurableApplicationContext without = Applications.startWithoutLibrary(Map.of());
                ConfigurableApplicationContext disabled = Applications.start(Map.of("proxy.enabled", "false"))) {
            for (int atATime : new int[] {16, 1}) {
                Map<String, Mono<?>> clients = new LinkedHashMap<>();
                clients.put("without the library", request(without));
                clients.put("disabled", request(disabled));
                clients.put("without the library again", request(without));
                compare("proxy.enabled=false, keep-alive, " + atATime + " at a time", atATime, clients);
            }
            int beans = Applications.inTheRequestPath(disabled).size();
            measurements.add("proxy.enabled=false", "disabled", "beans in the request path", beans);
        }
    }

    private void compare(String scenario, int atATime, Map<String, Mono<?>> clients) {
        warmUp(clients, atATime, atATime == 1 ? WARM_UP_ROUNDS : 2 * WARM_UP_ROUNDS); // those come first
        List<String> order = new ArrayList<>(clients.keySet());
        for (int i = 0; i < rounds; i++) {
            Collections.shuffle(order, new Random(i)); // neighbours shall not stay neighbours
            for (String name : order) {
                Load.Round measured = Load.run(clients.get(name), atATime, round);
                measurements.add(scenario, name, "requests/s", measured.requestsPerSecond());
                measurements.add(scenario, name, "p50 µs", measured.p50Micros());
                measurements.add(scenario, name, "p99 µs", measured.p99Micros());
                measurements.add(scenario, name, "client CPU µs/request", measured.cpuMicros());
                measurements.add(scenario, name, "B/request", measured.bytes());
            }
        }
        measurements.print(scenario);
    }

    private void warmUp(Map<String, Mono<?>> clients, int atATime, int times) {
        clients.values().forEach(client -> Load.run(client, atATime, round.multipliedBy(times)));
    }

    private Map<String, Object> pool(String... urls) {
        Map<String, Object> properties = new LinkedHashMap<>();
        properties.put("proxy.enabled", "true");
        properties.put("proxy.no-proxy", "");
        for (int i = 0; i < urls.length; i++) {
            properties.put("proxy.default.http.pool[" + i + "].url", urls[i]);
        }
        return properties;
    }

    private static HttpClient pooled() {
        return HttpClient.create(ConnectionProvider.create("endtoend", 32));
    }

    private static HttpClient hardCoded(HttpClient client, ProxyProvider.Proxy type, int port) {
        return client.proxy(proxy -> proxy.type(type).socketAddress(new InetSocketAddress("127.0.0.1", port)));
    }

    private Mono<String> request(HttpClient client) {
        return client.option(ChannelOption.TCP_NODELAY, true)
                .get()
                .uri(target)
                .responseSingle((response, body) -> body.asString());
    }

    private Mono<String> request(ConfigurableApplicationContext context) {
        return context.getBean(WebClient.Builder.class)
                .build()
                .get()
                .uri(target)
                .retrieve()
                .bodyToMono(String.class);
    }
}
