package io.egressproxy.endtoend;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.settings.ProxySettingsBinder;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;

/**
 * The heap that proxies take: settings, pools and what is known of each proxy, by the size of the pools.
 *
 * <p>Arguments: the file for the measurements, how many proxies in all.
 */
final class Footprint {
    private static final String SCENARIO = "memory";
    private static final int[] SIZES = {10, 100, 1_000, 10_000};

    private static final ProxyTarget TARGET = ProxyTarget.of(ExchangeId.of("any"), ConnectionType.HTTP);

    private Footprint() {}

    public static void main(String[] arguments) throws IOException {
        Measurements measurements = new Measurements();
        int all = Integer.parseInt(arguments[1]);
        routers(10, 10); // classes
        for (int size : SIZES) {
            long before = used();
            int count = Math.max(1, all / size);
            List<ProxyRouter> routers = routers(size, count);
            double each = (used() - before) / (double) (count * size);
            measurements.add(SCENARIO, "pools of " + size, "B/proxy", each);
            take(routers.get(0)); // all are needed until here
        }
        measurements.print(SCENARIO);
        measurements.write(arguments[0]);
        System.exit(0);
    }

    private static List<ProxyRouter> routers(int size, int count) {
        List<ProxyRouter> routers = new ArrayList<>();
        for (int router = 0; router < count; router++) {
            Map<String, Object> values = new HashMap<>();
            values.put("proxy.enabled", "true");
            for (int i = 0; i < size; i++) {
                int number = router * size + i;
                values.put(
                        "proxy.default.http.pool[" + i + "].url",
                        "http://user:password@10.%d.%d.%d:8080"
                                .formatted(number >> 16, number >> 8 & 0xff, number & 0xff));
            }
            StandardEnvironment environment = new StandardEnvironment();
            environment.getPropertySources().addFirst(new MapPropertySource("footprint", values));
            ProxyRouter used = new ProxyRouter(ProxySettingsBinder.bind(environment));
            for (int i = 0; i < size; i++) { // by round robin: each proxy has had a connection
                take(used);
            }
            routers.add(used);
        }
        return routers;
    }

    private static void take(ProxyRouter router) {
        ProxyLease lease =
                Objects.requireNonNull(router.lease(TARGET, List.of()).block());
        lease.close(new Outcome.Succeeded(Duration.ofMillis(1)));
    }

    private static long used() {
        for (int i = 0; i < 4; i++) {
            System.gc();
        }
        return ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
    }
}
