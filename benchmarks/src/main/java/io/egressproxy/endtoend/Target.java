package io.egressproxy.endtoend;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.charset.StandardCharsets;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;
import reactor.netty.resources.LoopResources;

/** What is asked through the proxies: answers at once, in a JVM of its own, so that its cost is not the client's. */
final class Target {
    private static final ByteBuf ANSWER = Unpooled.unreleasableBuffer(
            Unpooled.copiedBuffer("{\"symbol\":\"BTC-USDT\",\"price\":\"64250.10\"}", StandardCharsets.US_ASCII));

    private Target() {}

    public static void main(String[] arguments) {
        DisposableServer server = HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .runOn(LoopResources.create("target", 1, true))
                .handle((request, response) -> response.header("content-length", String.valueOf(ANSWER.readableBytes()))
                        .send(Mono.fromSupplier(ANSWER::duplicate)))
                .bindNow();
        System.out.println(server.port());
        server.onDispose().block();
    }
}
