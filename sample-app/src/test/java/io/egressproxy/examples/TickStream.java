package io.egressproxy.examples;

import java.net.URI;
import java.time.Duration;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;
import org.springframework.web.reactive.socket.WebSocketMessage;
import org.springframework.web.reactive.socket.client.WebSocketClient;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.util.retry.Retry;

@Component
class TickStream {
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
        return Flux.<String>create(ticks -> ticks.onDispose(webSockets
                        .execute(url, session -> session.receive()
                                .map(WebSocketMessage::getPayloadAsText)
                                .timeout(Duration.ofSeconds(30)) // a connection can die without a word
                                .doOnNext(ticks::next)
                                .then())
                        .then(Mono.error(() -> new IllegalStateException("closed by the exchange")))
                        .subscribe(nothing -> {}, ticks::error)))
                .retryWhen(Retry.backoff(Long.MAX_VALUE, Duration.ofMillis(200))
                        .maxBackoff(Duration.ofSeconds(5))
                        .jitter(0.5));
    }
}
