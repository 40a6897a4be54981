package io.egressproxy.pool;

import io.vertx.core.net.SocketAddress;
import io.vertx.core.net.endpoint.InteractionMetrics;
import io.vertx.core.net.endpoint.LoadBalancer;
import io.vertx.core.net.endpoint.ServerEndpoint;
import io.vertx.core.net.endpoint.ServerInteraction;
import io.vertx.core.net.endpoint.ServerSelector;
import java.util.List;
import java.util.stream.IntStream;

/** What Vert.x chooses among. */
final class VertxEndpoints {
    private VertxEndpoints() {}

    static ServerSelector selector(LoadBalancer balancer, int size, int open) {
        List<ServerEndpoint> endpoints = IntStream.range(0, size)
                .<ServerEndpoint>mapToObj(i -> new Named("proxy-" + i, begun(balancer.newMetrics(), open)))
                .toList();
        return balancer.selector(endpoints);
    }

    private static <M> InteractionMetrics<M> begun(InteractionMetrics<M> metrics, int open) {
        for (int i = 0; i < open; i++) {
            metrics.reportRequestBegin(metrics.initiateRequest());
        }
        return metrics;
    }

    private record Named(String key, InteractionMetrics<?> metrics) implements ServerEndpoint {
        @Override
        public SocketAddress address() {
            throw new UnsupportedOperationException("nobody connects");
        }

        @Override
        public ServerInteraction newInteraction() {
            throw new UnsupportedOperationException("nobody connects");
        }

        @Override
        public Object unwrap() {
            return key;
        }
    }
}
