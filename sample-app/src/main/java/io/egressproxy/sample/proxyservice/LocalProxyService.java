package io.egressproxy.sample.proxyservice;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.egressproxy.sample.proxyservice.LocalProxyServiceProperties.Offer;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpResponseStatus;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.UnaryOperator;
import java.util.zip.GZIPInputStream;
import org.jspecify.annotations.Nullable;
import org.reactivestreams.Publisher;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.beans.factory.InitializingBean;
import org.springframework.boot.json.JsonParser;
import org.springframework.boot.json.JsonParserFactory;
import org.springframework.boot.json.JsonWriter;
import org.springframework.context.annotation.Profile;
import org.springframework.stereotype.Component;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRequest;
import reactor.netty.http.server.HttpServerResponse;
import reactor.netty.resources.LoopResources;

/**
 * Gives each exchange the first of its proxies that the client does not exclude; to exchanges that it does not know it says to use
 * their own. Runs before anything asks it. Thread-safe.
 */
@Component
@Profile("!own")
final class LocalProxyService implements InitializingBean, DisposableBean {

    private static final Logger log = LoggerFactory.getLogger(LocalProxyService.class);

    private static final JsonWriter<Map<String, ?>> JSON = JsonWriter.standard();
    private static final int LARGEST_BODY = 1024 * 1024;

    // Its own thread: a service that somebody else runs has nothing to do with the application's event loops.
    private final LoopResources loops = LoopResources.create("local-proxy-service", 1, true);
    private final LocalProxyServiceProperties properties;
    private final JsonParser json = JsonParserFactory.getJsonParser();
    private final LongAdder requests = new LongAdder();
    private final Map<String, LongAdder> given = new ConcurrentHashMap<>();
    private final Map<String, LongAdder> reports = new ConcurrentHashMap<>();
    private int port;
    private volatile boolean hanging;
    private @Nullable DisposableServer server;
    private @Nullable ChannelGroup connections;

    LocalProxyService(LocalProxyServiceProperties properties) {
        this.properties = properties;
        this.port = properties.port();
    }

    /**
     * The service at one moment.
     *
     * @param url where it is
     * @param running whether it listens
     * @param hanging whether it answers nobody
     * @param requests how often it was asked for a proxy
     * @param given how often it gave each proxy
     * @param reports how often it was told of each outcome
     */
    record View(
            String url,
            boolean running,
            boolean hanging,
            long requests,
            Map<String, Long> given,
            Map<String, Long> reports) {}

    synchronized View view() {
        return new View(
                "http://127.0.0.1:" + port, server != null, hanging, requests.sum(), sums(given), sums(reports));
    }

    private static Map<String, Long> sums(Map<String, LongAdder> counts) {
        Map<String, Long> sums = new TreeMap<>();
        counts.forEach((name, count) -> sums.put(name, count.sum()));
        return sums;
    }

    /** Takes requests and answers none, its health check included. Does nothing if it is stopped. */
    synchronized void hang() {
        if (server != null) {
            hanging = true;
            log.info("Local proxy service hangs");
        }
    }

    /** Listens, and answers again if it hung. Does nothing if it does already. */
    synchronized void start() {
        hanging = false;
        if (server != null) {
            return;
        }
        ChannelGroup group = new DefaultChannelGroup("local-proxy-service", GlobalEventExecutor.INSTANCE, true);
        DisposableServer started;
        try {
            started = HttpServer.create()
                    .host("127.0.0.1")
                    .port(port)
                    .runOn(loops, false)
                    .channelGroup(group)
                    .handle(this::answer)
                    .bindNow();
        } catch (RuntimeException failure) {
            throw new IllegalStateException(
                    "The local proxy service cannot listen on port " + port
                            + "; choose another one with sample.local-proxy-service.port",
                    failure);
        }
        port = started.port();
        server = started;
        connections = group;
        log.info("Local proxy service listens on 127.0.0.1:{} and has proxies for {}", port, properties.proxies());
    }

    /** Stops listening and closes every connection. Does nothing if it is stopped. */
    synchronized void stop() {
        if (server == null || connections == null) {
            return;
        }
        server.disposeNow();
        connections.close().awaitUninterruptibly();
        server = null;
        connections = null;
        hanging = false;
        log.info("Local proxy service stopped");
    }

    private Publisher<Void> answer(HttpServerRequest request, HttpServerResponse response) {
        if (hanging) {
            return Mono.never(); // until one of the two ends closes the connection
        }
        String path = "/" + request.path();
        if (path.equals("/health")) {
            return response.send();
        }
        UnaryOperator<Map<String, Object>> operation =
                switch (path) {
                    case "/api/v1/proxy/request" -> this::give;
                    case "/api/v1/proxy/feedback" -> this::note;
                    case "/api/v1/proxy/feedback/batch" -> this::noteAll;
                    default -> null;
                };
        if (operation == null || !request.method().equals(HttpMethod.POST)) {
            return problem(response, HttpResponseStatus.NOT_FOUND, "there is no such path");
        }
        if (!("Bearer " + properties.token()).equals(request.requestHeaders().get(HttpHeaderNames.AUTHORIZATION))) {
            return problem(response, HttpResponseStatus.UNAUTHORIZED, "the token is another");
        }
        boolean gzip = "gzip".equals(request.requestHeaders().get(HttpHeaderNames.CONTENT_ENCODING));
        return request.receive()
                .aggregate()
                .asByteArray()
                .defaultIfEmpty(new byte[0])
                .flatMap(bytes -> {
                    try (InputStream sent = new ByteArrayInputStream(bytes);
                            InputStream body = gzip ? new GZIPInputStream(sent) : sent) {
                        byte[] read = body.readNBytes(LARGEST_BODY + 1);
                        return read.length > LARGEST_BODY
                                ? problem(response, HttpResponseStatus.REQUEST_ENTITY_TOO_LARGE, "at most 1 MiB")
                                : send(response, operation.apply(json.parseMap(new String(read, UTF_8))));
                    } catch (IOException | IllegalArgumentException wrong) {
                        return problem(response, HttpResponseStatus.BAD_REQUEST, "this is not what the contract says");
                    }
                });
    }

    private Map<String, Object> give(Map<String, Object> request) {
        requests.increment();
        String exchange = text(request, "exchange_id");
        text(request, "connection_type");
        text(request, "client_id");
        List<?> excluded = request.get("metadata") instanceof Map<?, ?> metadata
                        && metadata.get("exclude") instanceof List<?> proxies
                ? proxies
                : List.of();
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("strategy", "first");
        answer.put("ttl_seconds", properties.timeToLive().toSeconds());
        answer.put("fallback_policy", "embedded_fallback");
        Offer offer = properties.proxies().getOrDefault(exchange, List.of()).stream()
                .filter(proxy -> !excluded.contains(proxy.id()))
                .findFirst()
                .orElse(null);
        count(given, offer == null ? "none" : offer.id());
        answer.put("proxy_url", offer == null ? null : offer.url());
        if (offer != null) {
            answer.put("metadata", Map.of("proxy_id", offer.id()));
        }
        return answer;
    }

    private Map<String, Object> note(Map<?, ?> report) {
        text(report, "exchange_id");
        Object proxy = Objects.requireNonNullElse(report.get("proxy_id"), "a proxy");
        Object event = report.get("event");
        count(
                reports,
                proxy + " "
                        + (event != null
                                ? event
                                : Boolean.TRUE.equals(report.get("success")) ? "succeeded" : "failed"));
        return Map.of();
    }

    private Map<String, Object> noteAll(Map<String, Object> batch) {
        text(batch, "batch_id");
        if (batch.get("reports") instanceof List<?> all) {
            all.forEach(report -> {
                if (report instanceof Map<?, ?> one) {
                    note(one);
                }
            });
        }
        return Map.of();
    }

    private static void count(Map<String, LongAdder> counts, String name) {
        counts.computeIfAbsent(name, ignored -> new LongAdder()).increment();
    }

    private static String text(Map<?, ?> fields, String name) {
        if (fields.get(name) instanceof String text && !text.isEmpty()) {
            return text;
        }
        throw new IllegalArgumentException(name);
    }

    private static Mono<Void> send(HttpServerResponse response, Map<String, ?> body) {
        return response.header(HttpHeaderNames.CONTENT_TYPE, "application/json")
                .sendString(Mono.just(JSON.writeToString(body)))
                .then();
    }

    private static Mono<Void> problem(HttpServerResponse response, HttpResponseStatus status, String detail) {
        return send(response.status(status), Map.of("title", status.reasonPhrase(), "detail", detail));
    }

    @Override
    public void afterPropertiesSet() {
        start();
    }

    @Override
    public void destroy() {
        stop();
        loops.disposeLater(Duration.ZERO, Duration.ofSeconds(2)).block();
    }
}
