package io.egressproxy.examples;

import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import reactor.core.publisher.Mono;

/** Whether whoever takes leases gives each of them back. */
final class CountedLeases {
    final LongAdder opened = new LongAdder();
    final LongAdder ended = new LongAdder();
    private final ProxyInjector injector;

    CountedLeases(ProxyInjector injector) {
        this.injector = injector;
    }

    ProxyInjector counted() {
        return (ProxyInjector) Proxy.newProxyInstance(
                getClass().getClassLoader(), new Class<?>[] {ProxyInjector.class}, (self, method, arguments) -> {
                    Object result = method.invoke(injector, arguments);
                    return method.getName().equals("lease")
                            ? ((Mono<?>) result).map(lease -> counted((ProxyLease) lease))
                            : result;
                });
    }

    private ProxyLease counted(ProxyLease lease) {
        opened.increment();
        AtomicBoolean closed = new AtomicBoolean();
        return new ProxyLease() {
            @Override
            public ProxyTarget target() {
                return lease.target();
            }

            @Override
            public ProxyDecision decision() {
                return lease.decision();
            }

            @Override
            public void established(Duration latency) {
                lease.established(latency);
            }

            @Override
            public void close(Outcome outcome) {
                lease.close(outcome);
                if (closed.compareAndSet(false, true)) {
                    ended.increment();
                }
            }
        };
    }
}
