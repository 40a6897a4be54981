package io.egressproxy.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.egressproxy.service.ProxyServiceException.Reason;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.PooledByteBufAllocator;
import io.netty.buffer.Unpooled;
import io.netty.handler.codec.http.HttpHeaderNames;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.SignalType;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.http.server.HttpServerRoutes;

/** Answers that are meant to do harm, or might as well be: they cost no memory, and no more time than is allowed. */
@Tag("NFR-4")
@Tag("smoke")
class HostileServiceTests {
    private static final int BOMB_BYTES = 256 * 1024 * 1024;
    private static final long MOST_BYTES_IN_MEMORY = 32L * 1024 * 1024;
    private static final byte[] CHUNK = "x".repeat(16 * 1024).getBytes(StandardCharsets.US_ASCII);

    private static @Nullable Reason ask(java.util.function.Consumer<HttpServerRoutes> routes, String... properties) {
        DisposableServer server =
                HttpServer.create().host("127.0.0.1").port(0).route(routes).bindNow();
        try (ServiceLab lab = new ServiceLab(0)) {
            String[] all = java.util.Arrays.copyOf(properties, properties.length + 2);
            all[properties.length] = "proxy.external-service.endpoints=http://127.0.0.1:" + server.port();
            all[properties.length + 1] = "proxy.external-service.retry.max-attempts=1";
            return Objects.requireNonNull(lab.delegation(all)
                                            .answers()
                                            .ask(ServiceLab.target("binance"))
                                            .materialize()
                                            .block(ServiceLab.PATIENCE))
                                    .getThrowable()
                            instanceof ProxyServiceException failure
                    ? failure.reason()
                    : null;
        } finally {
            server.disposeNow();
        }
    }

    /** As many bytes as somebody reads, and how it ended. */
    private static final class Endless {
        final AtomicLong sent = new AtomicLong();
        final AtomicReference<@Nullable SignalType> end = new AtomicReference<>();

        Flux<ByteBuf> body(String beginning) {
            return Mono.fromSupplier(() -> Unpooled.copiedBuffer(beginning, StandardCharsets.US_ASCII))
                    .concatWith(Flux.generate(sink -> {
                        sent.addAndGet(CHUNK.length);
                        sink.next(Unpooled.wrappedBuffer(CHUNK));
                    }))
                    .doFinally(end::set);
        }

        void assertGivenUp() {
            await().atMost(ServiceLab.PATIENCE).until(() -> end.get() != null);
            assertThat(sent.get()).as("what fits into the sockets' buffers").isLessThan(MOST_BYTES_IN_MEMORY);
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {200, 400, 401, 404, 429, 500})
    void anAnswerWithoutEndIsGivenUp(int status) {
        Endless endless = new Endless();
        Reason reason = ask(routes -> routes.post(ServiceLab.REQUEST, (request, response) -> response.status(status)
                .header(HttpHeaderNames.CONTENT_TYPE, "application/json")
                .send(endless.body("{\"strategy\": \""))));
        assertThat(reason)
                .isEqualTo(
                        switch (status) {
                            case 200 -> Reason.INVALID_ANSWER;
                            case 400 -> Reason.REJECTED;
                            case 401 -> Reason.UNAUTHORIZED;
                            case 404 -> Reason.NOT_FOUND;
                            case 429 -> Reason.THROTTLED;
                            default -> Reason.SERVER_ERROR;
                        });
        endless.assertGivenUp();
    }

    @Test
    void aHealthAnswerWithoutEndIsGivenUp() {
        Endless endless = new Endless();
        Reason reason = ask(
                routes -> routes.get("/health", (request, response) -> response.send(endless.body("{")))
                        .post(ServiceLab.REQUEST, (request, response) -> response.header(
                                        HttpHeaderNames.CONTENT_TYPE, "application/json")
                                .sendString(Mono.just("{\"proxy_url\": \"http://10.1.2.3:1\"}"))),
                "proxy.external-service.health-check.enabled=true",
                "proxy.external-service.health-check.interval=1h");
        assertThat(reason).isNull();
        endless.assertGivenUp();
    }

    @Test
    void anAnswerThatIsHugeOnceItIsDecompressedIsGivenUp() {
        byte[] bomb = bomb();
        assertThat(bomb.length).isLessThan(BOMB_BYTES / 500);
        long before = PooledByteBufAllocator.DEFAULT.metric().usedDirectMemory()
                + PooledByteBufAllocator.DEFAULT.metric().usedHeapMemory();
        Reason reason = ask(routes -> routes.post(ServiceLab.REQUEST, (request, response) -> response.header(
                        HttpHeaderNames.CONTENT_TYPE, "application/json")
                .header(HttpHeaderNames.CONTENT_ENCODING, "gzip")
                .send(Mono.fromSupplier(() -> Unpooled.wrappedBuffer(bomb)))));
        assertThat(reason).isEqualTo(Reason.INVALID_ANSWER);
        long after = PooledByteBufAllocator.DEFAULT.metric().usedDirectMemory()
                + PooledByteBufAllocator.DEFAULT.metric().usedHeapMemory();
        assertThat(after - before).as("arenas that had to be made").isLessThan(MOST_BYTES_IN_MEMORY);
    }

    private static byte[] bomb() {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
            gzip.write("{\"strategy\": \"".getBytes(StandardCharsets.US_ASCII));
            for (int i = 0; i < BOMB_BYTES / CHUNK.length; i++) {
                gzip.write(CHUNK);
            }
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return bytes.toByteArray();
    }

    @Test
    void anAnswerThatIsCompressedIsRead() {
        Reason reason = ask(routes -> routes.post(ServiceLab.REQUEST, (request, response) -> {
            assertThat(request.requestHeaders().get(HttpHeaderNames.ACCEPT_ENCODING))
                    .contains("gzip");
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
                gzip.write("{\"proxy_url\": \"http://10.1.2.3:1\"}".getBytes(StandardCharsets.US_ASCII));
            } catch (IOException impossible) {
                throw new UncheckedIOException(impossible);
            }
            return response.header(HttpHeaderNames.CONTENT_TYPE, "application/json")
                    .header(HttpHeaderNames.CONTENT_ENCODING, "gzip")
                    .sendByteArray(Mono.just(bytes.toByteArray()));
        }));
        assertThat(reason).isNull();
    }

    @Test
    void aServiceThatTricklesItsHeadersIsGivenUpInTime() {
        Reason reason = ask(
                routes -> routes.post(ServiceLab.REQUEST, (request, response) -> Mono.delay(Duration.ofMinutes(1))
                        .then()),
                "proxy.external-service.timeout-seconds=1");
        assertThat(reason).isEqualTo(Reason.TIMEOUT);
    }
}
