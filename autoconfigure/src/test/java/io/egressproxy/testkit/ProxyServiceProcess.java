package io.egressproxy.testkit;

import io.netty.handler.codec.http.HttpHeaderNames;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;

/**
 * A proxy service over TLS in a process of its own, which can be killed, frozen, and started again with another certificate. It
 * gives everybody the same answer. Not thread-safe.
 */
public final class ProxyServiceProcess implements AutoCloseable {
    private static final Duration START = Duration.ofSeconds(30);

    private final int port = LoopbackPorts.free();
    private final Path answer;
    private final ChildProcess process;

    /**
     * A service that is not started yet.
     *
     * @param directory for its files
     * @param answer the JSON that it answers
     */
    public ProxyServiceProcess(Path directory, String answer) {
        this.answer = directory.resolve("answer.json");
        this.process = new ChildProcess(directory, directory.resolve("service.log"));
        try {
            Files.writeString(this.answer, answer); // not on the command line: it holds a password
        } catch (IOException unwritable) {
            throw new UncheckedIOException(unwritable);
        }
    }

    public String url() {
        return "https://127.0.0.1:" + port;
    }

    /** Returns when it listens. */
    public void start(IssuedCertificate certificate) {
        process.start(List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-cp",
                System.getProperty("java.class.path"),
                ProxyServiceProcess.class.getName(),
                Integer.toString(port),
                certificate.certificateFile().toString(),
                certificate.keyFile().toString(),
                answer.toString()));
        LoopbackPorts.await("the proxy service listens", START, () -> LoopbackPorts.accepts(port));
    }

    public void kill() {
        process.kill();
    }

    public void freeze() {
        process.signal("STOP");
    }

    public void resume() {
        process.signal("CONT");
    }

    @Override
    public void close() {
        process.kill();
    }

    /** The process itself: port, certificate, key, file with the answer. */
    public static void main(String[] arguments) throws IOException {
        Path key = Path.of(arguments[2]);
        IssuedCertificate certificate = new IssuedCertificate(Path.of(arguments[1]), key, key);
        String json = Files.readString(Path.of(arguments[3]));
        DisposableServer server = HttpServer.create()
                .host("127.0.0.1")
                .port(Integer.parseInt(arguments[0]))
                .secure(spec -> spec.sslContext(certificate.nettyServerContext()))
                .route(routes -> routes.get("/health", (request, response) -> response.send())
                        .post("/api/v1/proxy/request", (request, response) -> response.header(
                                        HttpHeaderNames.CONTENT_TYPE, "application/json")
                                .sendString(request.receive().aggregate().then(Mono.just(json)))))
                .bindNow();
        server.onDispose().block();
    }
}
