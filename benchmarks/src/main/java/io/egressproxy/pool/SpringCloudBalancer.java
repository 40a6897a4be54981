package io.egressproxy.pool;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.springframework.cloud.client.DefaultServiceInstance;
import org.springframework.cloud.client.ServiceInstance;
import org.springframework.cloud.client.loadbalancer.LoadBalancerProperties;
import org.springframework.cloud.client.loadbalancer.reactive.ReactiveLoadBalancer;
import org.springframework.cloud.loadbalancer.core.HealthCheckServiceInstanceListSupplier;
import org.springframework.cloud.loadbalancer.core.NoopServiceInstanceListSupplier;
import org.springframework.cloud.loadbalancer.core.RoundRobinLoadBalancer;
import org.springframework.cloud.loadbalancer.core.ServiceInstanceListSupplier;
import org.springframework.cloud.loadbalancer.support.SimpleObjectProvider;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/** What Spring Cloud LoadBalancer chooses among, with and without its health checks, all of which say that all is well. */
final class SpringCloudBalancer implements AutoCloseable {
    private static final String SERVICE = "s";

    private final RoundRobinLoadBalancer balancer;
    private final AutoCloseable checks;

    private SpringCloudBalancer(ServiceInstanceListSupplier supplier, AutoCloseable checks) {
        this.balancer = new RoundRobinLoadBalancer(new SimpleObjectProvider<>(supplier), SERVICE, 0);
        this.checks = checks;
    }

    static SpringCloudBalancer of(int size) {
        return new SpringCloudBalancer(instances(size), () -> {});
    }

    static SpringCloudBalancer healthChecked(int size) {
        LoadBalancerProperties properties = new LoadBalancerProperties();
        properties.getHealthCheck().setInitialDelay(Duration.ZERO);
        properties.getHealthCheck().setInterval(Duration.ofHours(1)); // at rest
        HealthCheckServiceInstanceListSupplier checked = new HealthCheckServiceInstanceListSupplier(
                instances(size), new Properties(properties), (instance, path) -> Mono.just(true));
        checked.afterPropertiesSet();
        return new SpringCloudBalancer(checked, checked::destroy);
    }

    private static ServiceInstanceListSupplier instances(int size) {
        List<ServiceInstance> instances = IntStream.range(0, size)
                .<ServiceInstance>mapToObj(i -> new DefaultServiceInstance("i" + i, SERVICE, "proxy-" + i, 8080, false))
                .toList();
        return new NoopServiceInstanceListSupplier() {
            @Override
            public Flux<List<ServiceInstance>> get() {
                return Flux.just(instances);
            }
        };
    }

    Object choose() {
        return balancer.choose().block().getServer();
    }

    @Override
    public void close() throws Exception {
        checks.close();
    }

    private record Properties(LoadBalancerProperties all) implements ReactiveLoadBalancer.Factory<ServiceInstance> {
        @Override
        public LoadBalancerProperties getProperties(String service) {
            return all;
        }

        @Override
        public ReactiveLoadBalancer<ServiceInstance> getInstance(String service) {
            throw new UnsupportedOperationException("nobody asks for it");
        }

        @Override
        public <X> Map<String, X> getInstances(String name, Class<X> type) {
            return Map.of();
        }

        @Override
        public <X> X getInstance(String name, Class<?> type, Class<?>... generics) {
            return null;
        }
    }
}
