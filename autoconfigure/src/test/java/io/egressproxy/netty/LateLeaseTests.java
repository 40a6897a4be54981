package io.egressproxy.netty;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.ConnectionType;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyInjector;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.settings.ProxySettingsBinder;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;
import reactor.core.publisher.BaseSubscriber;
import reactor.netty.http.HttpResources;
import reactor.netty.http.client.HttpClient;

/** A lease that is made while its caller gives up. */
@Tag("no-interruption")
class LateLeaseTests {

    @Test
    void aLeaseThatNobodyGetsIsGivenBack() {
        StandardEnvironment environment = new StandardEnvironment();
        environment
                .getPropertySources()
                .addFirst(new MapPropertySource(
                        "test",
                        Map.of("proxy.enabled", "true", "proxy.default.http.pool[0].url", "http://127.0.0.1:1")));
        List<ProxyLease> got = new ArrayList<>();
        List<Outcome> ended = new ArrayList<>();
        BaseSubscriber<ProxyLease> caller = new BaseSubscriber<>() {
            @Override
            protected void hookOnNext(ProxyLease lease) {
                got.add(lease);
            }
        };
        ProxyRouter router =
                new ProxyRouter(ProxySettingsBinder.bind(environment), name -> null, null, new ProxyEventListener() {
                    @Override
                    public void decided(ProxyTarget target, ProxyDecision decision, @Nullable String correlationId) {
                        caller.cancel();
                    }

                    @Override
                    public void ended(ProxyTarget target, ProxyDecision decision, Outcome outcome, Duration took) {
                        ended.add(outcome);
                    }
                });
        try (ClientRoutes routes = new ClientRoutes(
                router,
                bundle -> {
                    throw new IllegalStateException("no TLS here");
                },
                HttpResources.get())) {
            ProxyInjector injector = new NettyProxyInjector(router, routes, HttpClient::create, client -> {
                throw new IllegalStateException("no WebClient here");
            });
            injector.lease("binance", ConnectionType.HTTP).subscribe(caller);
        }
        assertThat(got).isEmpty();
        assertThat(ended).containsExactly(new Outcome.Cancelled());
    }
}
