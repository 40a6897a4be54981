package io.egressproxy.netty;

import io.egressproxy.ProxyUrl;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.handler.codec.http2.Http2Connection;
import io.netty.handler.codec.http2.Http2ConnectionAdapter;
import io.netty.handler.codec.http2.Http2Exception;
import io.netty.handler.codec.http2.Http2FrameCodec;
import io.netty.handler.codec.http2.Http2Stream;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import reactor.netty.Connection;
import reactor.netty.channel.ChannelOperations;

/**
 * The channels that go through each proxy. When a proxy is out, those that lie idle in a connection pool are closed, and those
 * in use are not put back into it; otherwise a pooled connection would lead through a dead proxy long after the proxy was left
 * out. Requests in flight go on, and so do WebSockets. Thread-safe.
 */
final class ProxyChannels {
    private final Map<ProxyUrl, Set<Channel>> channels = new ConcurrentHashMap<>();

    void add(ProxyUrl proxy, Channel channel) {
        channels.compute(proxy, (url, open) -> {
            Set<Channel> set = open == null ? ConcurrentHashMap.newKeySet() : open;
            set.add(channel);
            return set;
        });
        channel.closeFuture().addListener(closed -> remove(proxy, channel));
    }

    private void remove(ProxyUrl proxy, Channel channel) {
        channels.computeIfPresent(proxy, (url, open) -> {
            open.remove(channel);
            return open.isEmpty() ? null : open;
        });
    }

    /** The proxy is out. */
    void retire(ProxyUrl proxy) {
        for (Channel channel : channels.getOrDefault(proxy, Set.of())) {
            if (!channel.eventLoop().isShuttingDown()) { // else it closes all its channels, and takes no task
                channel.eventLoop().execute(() -> retire(channel));
            }
        }
    }

    private static void retire(Channel channel) {
        Http2FrameCodec http2 = channel.pipeline().get(Http2FrameCodec.class);
        if (http2 != null) {
            retire(channel, http2.connection());
            return;
        }
        Connection.from(channel).markPersistent(false);
        if (ChannelOperations.get(channel) == null) { // idle
            channel.close();
        }
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
