package io.egressproxy.sample.localproxy;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import org.springframework.beans.factory.DisposableBean;
import org.springframework.context.SmartLifecycle;
import org.springframework.context.annotation.Profile;
import org.springframework.stereotype.Component;
import reactor.netty.resources.LoopResources;

/** The local proxies, started before anything that uses them and closed with the application. */
@Component
@Profile("!own")
final class LocalProxies implements SmartLifecycle, DisposableBean {

    private static final int EVENT_LOOPS = 2;

    // Their own threads: a client that blocks one of the application's must not look like a slow proxy.
    private final LoopResources loops = LoopResources.create("local-proxy", EVENT_LOOPS, true);
    private final List<LocalProxy> proxies;
    private volatile boolean running;

    LocalProxies(LocalProxiesProperties properties, OutgoingPorts outgoingPorts) {
        proxies = List.of(
                LocalProxy.socks5(
                        "socks5-local", properties.socks5Port(), properties.socks5Credentials(), loops, outgoingPorts),
                LocalProxy.http("http-local", properties.httpPort(), loops, outgoingPorts),
                LocalProxy.socks5(
                        "socks5-local-2",
                        properties.secondSocks5Port(),
                        properties.socks5Credentials(),
                        loops,
                        outgoingPorts),
                LocalProxy.socks5(
                        "socks5-leased",
                        properties.leasedSocks5Port(),
                        properties.socks5Credentials(),
                        loops,
                        outgoingPorts));
    }

    List<LocalProxy> all() {
        return proxies;
    }

    Optional<LocalProxy> find(String name) {
        return proxies.stream().filter(proxy -> proxy.name().equals(name)).findFirst();
    }

    @Override
    public void start() {
        proxies.forEach(LocalProxy::start);
        running = true;
    }

    @Override
    public void stop() {
        proxies.forEach(LocalProxy::stop);
        running = false;
    }

    @Override
    public boolean isRunning() {
        return running;
    }

    @Override
    public int getPhase() {
        return 0;
    }

    @Override
    public void destroy() {
        // Also after a start that failed half-way, when nobody calls stop().
        stop();
        loops.disposeLater(Duration.ZERO, Duration.ofSeconds(2)).block();
    }
}
