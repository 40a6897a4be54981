package io.egressproxy.autoconfigure;

import static org.awaitility.Awaitility.await;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import ch.qos.logback.classic.spi.ILoggingEvent;
import ch.qos.logback.core.AppenderBase;
import io.egressproxy.ConnectionStage;
import io.egressproxy.Outcome;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.TargetServer;
import java.net.URI;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.LongAccumulator;
import java.util.concurrent.atomic.LongAdder;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.support.BeanDefinitionRegistry;
import org.springframework.beans.factory.support.RootBeanDefinition;
import org.springframework.boot.http.client.reactive.ReactorClientHttpConnectorBuilder;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.ImportBeanDefinitionRegistrar;
import org.springframework.core.type.AnnotationMetadata;
import org.springframework.http.HttpHeaders;
import org.springframework.web.reactive.function.client.WebClient;
import org.springframework.web.reactive.socket.WebSocketMessage;
import org.springframework.web.reactive.socket.WebSocketSession;
import org.springframework.web.reactive.socket.client.WebSocketClient;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;

/**
 * An application at work: 200 requests a second, every other one on a connection of its own, and ten WebSockets that are opened
 * again when they end. It counts what it sees, and takes a request for lost in flight only if it had left before it failed.
 */
final class SteadyLoad implements AutoCloseable {
    private static final Duration BETWEEN_REQUESTS = Duration.ofMillis(5);
    private static final Duration BETWEEN_PINGS = Duration.ofMillis(200);
    private static final int WEBSOCKETS = 10;
    private static final Duration SILENCE = Duration.ofSeconds(2); // after which the application gives an answer up
    private static final Pattern PEER = Pattern.compile("\"peer\":\"([^\"]+)\"");

    private final Disposable.Composite running = Disposables.composite();
    private final FailedAttempts failedAttempts = new FailedAttempts();
    private final LongAdder requests = new LongAdder();
    private final LongAccumulator slowestNanos = new LongAccumulator(Math::max, 0);
    private final LongAdder webSocketsLost = new LongAdder();
    private final AtomicInteger webSocketsOpen = new AtomicInteger();
    private final ConcurrentMap<String, LongAdder> notOpened = new ConcurrentSkipListMap<>();
    private final ConcurrentMap<String, LongAdder> lostInFlight = new ConcurrentSkipListMap<>();
    private final ConcurrentMap<String, LongAdder> openedThrough = new ConcurrentSkipListMap<>();

    /** Whether a request has left; travels in the subscriber's context. */
    private static final class Sent extends AtomicBoolean {}

    /** What an application may do to its clients: limit the wait for an answer; and, for us, see when a request has left. */
    @Configuration(proxyBeanMethods = false)
    @Import(Watching.class)
    static class Clients {}

    /** By the type of whichever Spring Boot this is. */
    static final class Watching implements ImportBeanDefinitionRegistrar {
        @Override
        public void registerBeanDefinitions(AnnotationMetadata importing, BeanDefinitionRegistry registry) {
            RootBeanDefinition watched = new RootBeanDefinition(SpringBoot.CONNECTOR_CUSTOMIZER);
            watched.setInstanceSupplier(() -> SpringBoot.customizer(
                    SpringBoot.CONNECTOR_CUSTOMIZER, builder -> ((ReactorClientHttpConnectorBuilder) builder)
                            .withHttpClientCustomizer(Watching::watched)));
            registry.registerBeanDefinition("watched", watched);
        }

        private static HttpClient watched(HttpClient client) {
            return client.responseTimeout(SILENCE).doAfterRequest((request, connection) -> request.currentContextView()
                    .<Sent>getOrEmpty(Sent.class)
                    .ifPresent(sent -> sent.set(true)));
        }
    }

    static SteadyLoad start(ApplicationContext context, TargetServer target) {
        SteadyLoad load = new SteadyLoad();
        load.failedAttempts.attach();
        WebClient client = context.getBean(WebClient.Builder.class).build();
        load.running.add(Flux.interval(BETWEEN_REQUESTS)
                .onBackpressureBuffer(1_000)
                .flatMap(i -> load.request(client, target, i % 2 == 0), 1_000)
                .subscribe());
        WebSocketClient webSockets = context.getBean(WebSocketClient.class);
        URI uri = URI.create(target.url("ws", "/ws"));
        load.running.add(Flux.range(0, WEBSOCKETS)
                .flatMap(i -> load.webSocket(webSockets, uri).repeat(), WEBSOCKETS)
                .subscribe());
        await("the load is on")
                .atMost(SILENCE.multipliedBy(10))
                .until(() -> load.requests.sum() > 200 && load.allWebSocketsAreOpen());
        return load;
    }

    private Mono<Void> request(WebClient client, TargetServer target, boolean ownConnection) {
        requests.increment();
        long startNanos = System.nanoTime();
        Sent sent = new Sent();
        return client.get()
                .uri(target.url("http", "/whoami"))
                .header(HttpHeaders.CONNECTION, ownConnection ? "close" : "keep-alive")
                .retrieve()
                .bodyToMono(String.class)
                .doOnNext(whoami -> {
                    slowestNanos.accumulate(System.nanoTime() - startNanos);
                    if (ownConnection) {
                        count(openedThrough, peer(whoami));
                    }
                })
                .then()
                .contextWrite(context -> context.put(Sent.class, sent))
                .onErrorResume(failure -> {
                    count(sent.get() ? lostInFlight : notOpened, kind(failure));
                    return Mono.empty();
                });
    }

    private Mono<Void> webSocket(WebSocketClient client, URI uri) {
        AtomicBoolean opened = new AtomicBoolean();
        return client.execute(uri, session -> {
                    opened.set(true);
                    webSocketsOpen.incrementAndGet();
                    return conversation(session);
                })
                .onErrorResume(failure -> {
                    if (!opened.get()) {
                        count(notOpened, "WebSocket " + kind(failure));
                    }
                    return Mono.empty();
                })
                .doOnTerminate(() -> {
                    if (opened.get()) {
                        webSocketsOpen.decrementAndGet();
                        webSocketsLost.increment();
                    }
                });
    }

    /** Pings until no answer comes any more. */
    private static Mono<Void> conversation(WebSocketSession session) {
        Mono<Void> pings = session.send(
                Flux.interval(BETWEEN_PINGS).onBackpressureDrop().map(i -> session.textMessage("ping " + i)));
        Mono<Void> answers = session.receive()
                .map(WebSocketMessage::getPayloadAsText)
                .timeout(SILENCE)
                .then();
        return Mono.firstWithSignal(pings, answers);
    }

    static String peer(String whoami) {
        Matcher peer = PEER.matcher(whoami);
        if (!peer.find()) {
            throw new IllegalStateException("not an answer of /whoami: " + whoami);
        }
        return peer.group(1);
    }

    private static String kind(Throwable failure) {
        Throwable root = failure;
        while (root.getCause() != null) {
            root = root.getCause();
        }
        return failure.getClass().getSimpleName()
                + (root == failure ? "" : " by " + root.getClass().getSimpleName() + ": " + root.getMessage());
    }

    private static void count(ConcurrentMap<String, LongAdder> counts, String kind) {
        counts.computeIfAbsent(kind, ignored -> new LongAdder()).increment();
    }

    private static long sum(Map<String, LongAdder> counts) {
        return counts.values().stream().mapToLong(LongAdder::sum).sum();
    }

    /** Requests and WebSockets that got no connection, by kind. */
    Map<String, LongAdder> notOpened() {
        return notOpened;
    }

    /** Requests that had left for the target when their connection died, or was dead already. */
    long lostInFlight() {
        return sum(lostInFlight);
    }

    /** The longest time from asking for a request to its answer since this was last asked for. */
    Duration slowest() {
        return Duration.ofNanos(slowestNanos.getThenReset());
    }

    /** Attempts that failed, and were followed by another. */
    long failovers() {
        return sum(failedAttempts.kinds);
    }

    long webSocketsLost() {
        return webSocketsLost.sum();
    }

    boolean allWebSocketsAreOpen() {
        return webSocketsOpen.get() == WEBSOCKETS;
    }

    /** Connections opened for a single request. */
    long connections() {
        return sum(openedThrough);
    }

    long connectionsThrough(RunningProxy proxy) {
        LongAdder opened = openedThrough.get(proxy.egressAddress());
        return opened == null ? 0 : opened.sum();
    }

    @Override
    public String toString() {
        return requests + " requests; not opened " + notOpened + "; lost in flight " + lostInFlight
                + "; failed attempts "
                + failedAttempts.kinds + "; WebSockets lost and opened again " + webSocketsLost
                + "; connections through each proxy " + openedThrough;
    }

    @Override
    public void close() {
        running.dispose();
        failedAttempts.detach();
    }

    /** The router's log of leases that ended before a tunnel stood; and no other detail, which would slow everything down. */
    private static final class FailedAttempts extends AppenderBase<ILoggingEvent> {
        private final ConcurrentMap<String, LongAdder> kinds = new ConcurrentSkipListMap<>();
        private final Logger root = (Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME);
        private final Logger router = (Logger) LoggerFactory.getLogger(ProxyRouter.class);
        private final Level before = root.getLevel();

        void attach() {
            root.setLevel(Level.INFO);
            router.setLevel(Level.DEBUG);
            router.setAdditive(false);
            router.addAppender(this);
            start();
        }

        void detach() {
            router.detachAppender(this);
            router.setAdditive(true);
            router.setLevel(null);
            root.setLevel(before);
            stop();
        }

        @Override
        protected void append(ILoggingEvent event) {
            Object[] arguments = event.getArgumentArray();
            if (arguments != null) {
                Arrays.stream(arguments)
                        .filter(Outcome.Failed.class::isInstance)
                        .map(Outcome.Failed.class::cast)
                        .filter(failed -> failed.stage() != ConnectionStage.TUNNEL)
                        .forEach(failed -> SteadyLoad.count(kinds, failed.detail()));
            }
        }
    }
}
