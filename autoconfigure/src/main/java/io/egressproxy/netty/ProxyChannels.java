package io.egressproxy.netty;

import io.egressproxy.ProxyUrl;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.handler.codec.http2.Http2Connection;
import io.netty.handler.codec.http2.Http2ConnectionAdapter;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2FrameCodec;
import io.netty.handler.codec.http2.Http2Stream;
import io.netty.handler.ssl.SslHandler;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;
import reactor.netty.Connection;
import reactor.netty.channel.ChannelOperations;

/**
 * The channels that are open, and the proxies that they go through. When a proxy is out, or settings have changed so that a channel leads where its
 * target no longer goes, those that lie idle in a connection pool are closed, and those in use are not put back into it; otherwise a pooled
 * connection would lead through a dead proxy, or directly, long after that was decided otherwise. Requests in flight go on, and so do
 * WebSockets. Thread-safe.
 */
final class ProxyChannels {
    private static final Object DIRECTLY = new Object();
    private static final int FEW = 2;

    private final Map<Object, Map<Channel, BooleanSupplier>> channels = new ConcurrentHashMap<>(); // by proxy
    private volatile int changes;

    /** Differs from what it was before whenever the settings have changed since. */
    int changes() {
        return changes;
    }

    /**
     * A channel is open. Whoever says so has to {@linkplain #remove remove} it when it is closed.
     *
     * @param proxy what it goes through, or null if it is direct
     * @param changesBefore {@link #changes()} at the time of its decision
     * @param leadsRight whether a connection to its target would go this way by the settings of today
     */
    void add(@Nullable ProxyUrl proxy, Channel channel, int changesBefore, BooleanSupplier leadsRight) {
        channels.compute(way(proxy), (way, open) -> {
            Map<Channel, BooleanSupplier> those = open == null ? new ConcurrentHashMap<>(FEW) : open;
            those.put(channel, leadsRight);
            return those;
        });
        if (!channel.isOpen()) { // closed just before, and so whoever removes it has done so
            remove(proxy, channel);
            return;
        }
        if (changes != changesBefore && !leadsRight.getAsBoolean()) {
            onLoop(channel); // it was decided on before the change, and opened after
        }
    }

    /** A channel that was added is closed. */
    void remove(@Nullable ProxyUrl proxy, Channel channel) {
        channels.computeIfPresent(way(proxy), (way, open) -> {
            open.remove(channel);
            return open.isEmpty() ? null : open;
        });
    }

    private static Object way(@Nullable ProxyUrl proxy) {
        return proxy == null ? DIRECTLY : proxy;
    }

    /** The proxy is out. */
    void retire(ProxyUrl proxy) {
        channels.getOrDefault(proxy, Map.of()).keySet().forEach(ProxyChannels::onLoop);
    }

    /** The settings have changed. */
    void retireMisled() {
        increment();
        channels.values()
                .forEach(open -> open.forEach((channel, leadsRight) -> {
                    if (!leadsRight.getAsBoolean()) {
                        onLoop(channel);
                    }
                }));
    }

    private synchronized void increment() {
        changes++;
    }

    private static void onLoop(Channel channel) {
        if (!channel.eventLoop().isShuttingDown()) { // else it closes all its channels, and takes no task
            channel.eventLoop().execute(() -> retire(channel));
        }
    }

    private static void retire(Channel channel) {
        Http2FrameCodec http2 = channel.pipeline().get(Http2FrameCodec.class);
        if (http2 != null) {
            retire(channel, http2.connection());
            return;
        }
        Connection.from(channel).markPersistent(false);
        if (ChannelOperations.get(channel) == null && !isInTls(channel)) { // idle
            channel.close();
        }
    }

    /** Whether it is being opened still: the target's TLS comes after the tunnel, and after that with an https proxy. */
    private static boolean isInTls(Channel channel) {
        for (Map.Entry<String, ChannelHandler> handler : channel.pipeline()) {
            if (handler.getValue() instanceof SslHandler tls
                    && !tls.handshakeFuture().isDone()) {
                return true;
            }
        }
        return false;
    }

    /** To Reactor Netty's pool a connection that was told to go away takes no new streams. */
    private static void retire(Channel channel, Http2Connection connection) {
        if (connection.numActiveStreams() == 0) {
            channel.close();
            return;
        }
        try {
            connection.goAwayReceived(Integer.MAX_VALUE, 0, Unpooled.EMPTY_BUFFER);
        } catch (Http2Exception broken) {
            channel.close();
            return;
        }
        connection.addListener(new Http2ConnectionAdapter() {
            @Override
            public void onStreamRemoved(Http2Stream stream) {
                if (connection.numActiveStreams() == 0) {
                    channel.close();
                }
            }
        });
    }
}
