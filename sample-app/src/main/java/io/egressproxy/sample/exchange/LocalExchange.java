package io.egressproxy.sample.exchange;

import io.egressproxy.sample.localproxy.OutgoingPorts;
import io.netty.channel.ChannelOption;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.handler.codec.http.QueryStringDecoder;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.boot.json.JsonWriter;
import org.springframework.context.SmartLifecycle;
import org.springframework.context.annotation.Profile;
import org.springframework.stereotype.Component;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;
import reactor.netty.resources.LoopResources;

/**
 * {@code GET /ticker?symbol=BTC-USDT} answers one {@link Quote}, a WebSocket at {@code /ws?symbol=BTC-USDT} one a
 * second.
 */
@Component
@Profile("!own")
final class LocalExchange implements SmartLifecycle, DisposableBean {

    private static final Logger log = LoggerFactory.getLogger(LocalExchange.class);

    private static final Map<String, String> EXCHANGES = Map.of(
            "api.binance.test", "binance",
            "stream.binance.test", "binance",
            "api.coinbase.test", "coinbase",
            "stream.coinbase.test", "coinbase",
            "api.kraken.test", "kraken",
            "stream.kraken.test", "kraken");
    private static final Pattern SYMBOL = Pattern.compile("[A-Z0-9]{1,10}-[A-Z0-9]{1,10}");
    private static final String DEFAULT_SYMBOL = "BTC-USDT";
    private static final Duration TICK = Duration.ofSeconds(1);
    // Exchanges end connections now and then. Here it shows where the next one goes.
    private static final int REQUESTS_PER_CONNECTION = 5;

    // Its own thread: the application's event loops have nothing to do with the far side.
    private final LoopResources loops = LoopResources.create("local-exchange", 1, true);
    private final Map<String, Market> markets = new ConcurrentHashMap<>();
    private final int port;
    private final OutgoingPorts outgoingPorts;
    private final JsonWriter<Quote> json = JsonWriter.of(quote -> {
        quote.add("exchange", Quote::exchange);
        quote.add("symbol", Quote::symbol);
        quote.add("price", Quote::price);
        quote.add("at", Quote::at);
        quote.add("seenFrom", Quote::seenFrom);
    });
    private volatile @Nullable DisposableServer server;

    LocalExchange(LocalExchangeProperties properties, OutgoingPorts outgoingPorts) {
        this.port = properties.port();
        this.outgoingPorts = outgoingPorts;
    }

    int port() {
        DisposableServer current = server;
        return current == null ? port : current.port();
    }

    private Publisher<Void> answer(HttpServerRequest request, HttpServerResponse response) {
        String exchange = EXCHANGES.get(host(request));
        if (exchange == null) {
            return refuse(response, HttpResponseStatus.NOT_FOUND, "No exchange of this name here");
        }
        if (!request.method().equals(HttpMethod.GET)) {
            return refuse(response, HttpResponseStatus.METHOD_NOT_ALLOWED, "GET only");
        }
        QueryStringDecoder uri = new QueryStringDecoder(request.uri());
        String symbol =
                uri.parameters().getOrDefault("symbol", List.of(DEFAULT_SYMBOL)).get(0);
        if (!SYMBOL.matcher(symbol).matches()) {
            return refuse(response, HttpResponseStatus.BAD_REQUEST, "Not a symbol; try " + DEFAULT_SYMBOL);
        }
        // Once per request, which for a WebSocket is once per connection: its source cannot change.
        String seenFrom = outgoingPorts.describe(request.remoteAddress());
        return switch (uri.path()) {
            case "/ticker" ->
                response.header(HttpHeaderNames.CONTENT_TYPE, "application/json")
                        .sendString(Mono.fromCallable(() -> quote(exchange, symbol, seenFrom)));
            case "/ws" ->
                response.sendWebsocket((in, out) -> {
                    Flux<String> quotes = Flux.interval(Duration.ZERO, TICK)
                            // A reader that is too slow misses quotes; it does not make this server collect them.
                            .onBackpressureDrop()
                            .map(tick -> quote(exchange, symbol, seenFrom));
                    // What the client says is read and ignored; its end is the end. Not as a part of the outgoing
                    // stream, which would release the incoming buffers a second time.
                    return Mono.firstWithSignal(
                            out.sendString(quotes).then(), in.receive().then());
                });
            default -> refuse(response, HttpResponseStatus.NOT_FOUND, "/ticker or /ws");
        };
    }

    private static String host(HttpServerRequest request) {
        String host = request.requestHeaders().get(HttpHeaderNames.HOST, "");
        int colon = host.lastIndexOf(':');
        return (colon < 0 ? host : host.substring(0, colon)).toLowerCase(Locale.ROOT);
    }

    private String quote(String exchange, String symbol, String seenFrom) {
        Market market = markets.computeIfAbsent(exchange, name -> new Market());
        return json.writeToString(new Quote(exchange, symbol, market.price(), Instant.now(), seenFrom));
    }

    private static Publisher<Void> refuse(HttpServerResponse response, HttpResponseStatus status, String reason) {
        return response.status(status)
                .header(HttpHeaderNames.CONTENT_TYPE, "text/plain; charset=utf-8")
                .sendString(Mono.just(reason + "\n"));
    }

    @Override
    public void start() {
        DisposableServer started;
        try {
            started = HttpServer.create()
                    .host("127.0.0.1")
                    .port(port)
                    .runOn(loops, false)
                    .childOption(ChannelOption.TCP_NODELAY, true)
                    .maxKeepAliveRequests(REQUESTS_PER_CONNECTION)
                    .handle(this::answer)
                    .bindNow();
        } catch (RuntimeException failure) {
            throw new IllegalStateException(
                    "The local exchange cannot listen on port " + port
                            + "; choose another one with sample.local-exchange.port",
                    failure);
        }
        server = started;
        log.info("Local exchange listens on 127.0.0.1:{} as {}", started.port(), EXCHANGES.keySet());
    }

    @Override
    public void stop() {
        DisposableServer current = server;
        if (current != null) {
            server = null;
            current.disposeNow();
        }
    }

    @Override
    public boolean isRunning() {
        return server != null;
    }

    @Override
    public int getPhase() {
        return 0;
    }

    @Override
    public void destroy() {
        stop();
        // Takes the WebSockets with it, which have no end of their own.
        loops.disposeLater(Duration.ZERO, Duration.ofSeconds(2)).block();
    }
}
