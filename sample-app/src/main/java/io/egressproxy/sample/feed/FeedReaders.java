package io.egressproxy.sample.feed;

import java.io.IOException;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.context.SmartLifecycle;
import org.springframework.stereotype.Component;
import org.springframework.web.reactive.function.client.WebClient;
import org.springframework.web.reactive.socket.WebSocketMessage;
import org.springframework.web.reactive.socket.WebSocketSession;
import org.springframework.web.reactive.socket.client.WebSocketClient;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

/**
 * Reads every feed for as long as the application runs.
 *
 * <p>There is no line about proxies in here, and that is the point of the sample: the {@code WebClient.Builder} is the
 * one that Spring Boot configures, the {@code WebSocketClient} an injected bean, and which proxy carries which
 * connection is written in {@code proxy.*} of {@code application.yml} and nowhere else.
 */
@Component
final class FeedReaders implements SmartLifecycle {

    private static final Logger log = LoggerFactory.getLogger(FeedReaders.class);

    private static final Duration POLL_INTERVAL = Duration.ofSeconds(1);
    private static final Duration RECONNECT_MIN = Duration.ofMillis(200);
    private static final Duration RECONNECT_MAX = Duration.ofSeconds(2);
    private static final double RECONNECT_JITTER = 0.5;
    private static final Duration REPORT_INTERVAL = Duration.ofSeconds(5);

    private final WebClient webClient;
    private final WebSocketClient webSocketClient;
    private final TickReader tickReader;
    private final Duration patience;
    private final List<Feed> feeds = new ArrayList<>();
    private final List<Flux<?>> readers = new ArrayList<>();
    private Disposable.@Nullable Composite running;

    FeedReaders(
            WebClient.Builder webClient,
            WebSocketClient webSocketClient,
            TickReader tickReader,
            FeedProperties properties) {
        this.webClient = webClient.build();
        this.webSocketClient = webSocketClient;
        this.tickReader = tickReader;
        this.patience = properties.patience();
        for (FeedProperties.Source source : properties.feeds()) {
            if (source.restUrl() != null) {
                readers.add(poll(add(source, ConnectionType.HTTP, source.restUrl()), source.restUrl()));
            }
            if (source.websocketUrl() != null) {
                Feed feed = add(source, ConnectionType.WEBSOCKET, source.websocketUrl());
                readers.add(listen(feed, source.websocketUrl(), source.websocketSubscribe()));
            }
        }
    }

    private Feed add(FeedProperties.Source source, ConnectionType connectionType, URI url) {
        Feed feed = new Feed(source.name(), connectionType, url, Clock.systemUTC());
        feeds.add(feed);
        return feed;
    }

    List<FeedView> views() {
        return feeds.stream().map(Feed::view).toList();
    }

    private Flux<?> poll(Feed feed, URI url) {
        return webClient
                .get()
                .uri(url)
                .retrieve()
                .bodyToMono(String.class)
                .timeout(patience)
                .doOnNext(answer -> feed.ticked(tickReader.read(answer)))
                .doOnError(feed::failed)
                // The next poll is the retry.
                .onErrorComplete()
                .repeatWhen(polled -> polled.delayElements(POLL_INTERVAL));
    }

    private Flux<?> listen(Feed feed, URI url, @Nullable String subscribe) {
        // As a stream of what arrives, so that a connection that worked is known to have worked: the pauses begin anew
        // after it.
        return Flux.<Tick>create(
                        ticks -> ticks.onDispose(webSocketClient
                                .execute(url, session -> converse(session, subscribe, ticks))
                                // A feed has no end: whoever closed it, it is opened again.
                                .then(Mono.error(
                                        () -> new IOException("The WebSocket to " + url.getHost() + " was closed")))
                                .subscribe(nothing -> {}, ticks::error)),
                        FluxSink.OverflowStrategy.LATEST)
                .doOnNext(feed::ticked)
                .retryWhen(Retry.backoff(Long.MAX_VALUE, RECONNECT_MIN)
                        .maxBackoff(RECONNECT_MAX)
                        .jitter(RECONNECT_JITTER)
                        .transientErrors(true)
                        .doBeforeRetry(attempt -> feed.failed(attempt.failure())));
    }

    private Mono<Void> converse(WebSocketSession session, @Nullable String subscribe, FluxSink<Tick> ticks) {
        Mono<Void> hello = subscribe == null ? Mono.empty() : session.send(Mono.just(session.textMessage(subscribe)));
        return hello.then(session.receive()
                // A connection can die without a word; a feed this quiet is taken for dead.
                .timeout(patience)
                .filter(message -> message.getType() == WebSocketMessage.Type.TEXT)
                .doOnNext(message -> ticks.next(tickReader.read(message.getPayloadAsText())))
                .then());
    }

    private Flux<?> report() {
        return Flux.interval(REPORT_INTERVAL)
                .onBackpressureDrop()
                .doOnNext(time -> feeds.forEach(feed -> log.info("{}", feed.line())));
    }

    @Override
    public synchronized void start() {
        if (running == null) {
            running = Disposables.composite();
            running.add(report().subscribe());
            for (Flux<?> reader : readers) {
                running.add(reader.subscribe(ignored -> {}, failure -> log.error("A feed has ended", failure)));
            }
        }
    }

    @Override
    public synchronized void stop() {
        if (running != null) {
            running.dispose();
            running = null;
        }
    }

    @Override
    public synchronized boolean isRunning() {
        return running != null;
    }
}
