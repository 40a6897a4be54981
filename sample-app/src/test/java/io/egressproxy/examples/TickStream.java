package io.egressproxy.examples;

import java.net.URI;
import java.time.Duration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;
import org.springframework.web.reactive.socket.WebSocketMessage;
import org.springframework.web.reactive.socket.client.WebSocketClient;
import reactor.core.publisher.Flux;
import reactor.core.publisher.FluxSink;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

@Component
class TickStream {
    private static final Logger log = LoggerFactory.getLogger(TickStream.class);

    private final WebSocketClient webSockets;
    private final URI url;

    TickStream(
            WebSocketClient webSockets,
            @Value("${binance.stream}") URI url) { // never new ReactorNettyWebSocketClient()
        this.webSockets = webSockets;
        this.url = url;
    }

    /** Without an end: each connection asks for its proxy anew, and a dead one costs a reconnect. */
    Flux<String> ticks() {
        return Flux.<String>create(this::connect, FluxSink.OverflowStrategy.LATEST) // whoever is too slow misses some
                .retryWhen(Retry.backoff(Long.MAX_VALUE, Duration.ofMillis(200))
                        .maxBackoff(Duration.ofSeconds(5))
                        .jitter(0.5)
                        .transientErrors(true) // the pauses begin anew after a tick
                        .doBeforeRetry(
                                retry -> log.warn("{}: {}", url, retry.failure().getMessage())));
    }

    private void connect(FluxSink<String> ticks) {
        ticks.onDispose(webSockets
                .execute(url, session -> session.receive()
                        .map(WebSocketMessage::getPayloadAsText)
                        .timeout(Duration.ofSeconds(30)) // a connection can die without a word
                        .doOnNext(ticks::next)
                        .then())
                .then(Mono.error(() -> new IllegalStateException("closed by the exchange")))
                .subscribe(nothing -> {}, ticks::error));
    }
}
