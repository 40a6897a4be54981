package io.egressproxy.sample.localproxy;

import io.netty.channel.Channel;
import java.net.InetSocketAddress;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.springframework.context.annotation.Profile;
import org.springframework.stereotype.Component;

/**
 * Which local port belongs to which local proxy's outgoing connection.
 *
 * <p>A real target tells proxies apart by their addresses. Here everything is on 127.0.0.1 (other loopback addresses do
 * not exist on every system), so the source port has to do.
 */
@Component
@Profile("!own")
public final class OutgoingPorts {

    private final Map<Integer, Outgoing> connections = new ConcurrentHashMap<>();

    /**
     * Records a connection until it closes. To be called before anything is sent on it, so that the target can never
     * ask too early.
     */
    void opened(String proxy, Channel channel) {
        int port = ((InetSocketAddress) channel.localAddress()).getPort();
        Outgoing connection = new Outgoing(proxy, channel);
        connections.put(port, connection);
        // Removed only if still this one: the system may have given the port to the next connection by then.
        channel.closeFuture().addListener(closed -> connections.remove(port, connection));
    }

    /** How many connections are open. */
    int size() {
        return connections.size();
    }

    /**
     * Who connects from this address.
     *
     * @param source the address that a target on this machine sees
     * @return {@code proxy "name"}, or {@code DIRECT host:port} for anybody else
     */
    public String describe(InetSocketAddress source) {
        Outgoing connection = connections.get(source.getPort());
        return connection == null
                ? "DIRECT " + source.getAddress().getHostAddress() + ":" + source.getPort()
                : "proxy \"" + connection.proxy() + "\"";
    }

    private record Outgoing(String proxy, Channel channel) {}
}
