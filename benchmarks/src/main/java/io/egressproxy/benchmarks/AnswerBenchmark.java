package io.egressproxy.benchmarks;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyTarget;
import io.egressproxy.service.Answer;
import io.egressproxy.service.AnswerKey;
import io.egressproxy.service.ProxyServiceClient;
import io.egressproxy.service.ServiceDelegation;
import java.time.Duration;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;
import reactor.core.publisher.Mono;

/**
 * Finding the kept answer of a proxy service, beside the bare cache: the same library, key and expiry for each entry, and
 * nothing else.
 */
public class AnswerBenchmark extends NanosBenchmark {
    private static final int EXCHANGES = 64;

    private final ProxyTarget[] targets = new ProxyTarget[EXCHANGES];
    private final AnswerKey[] keys = new AnswerKey[EXCHANGES];
    private Cache<Object, Object> bare;
    private ServiceDelegation delegation;
    private int turn;

    @Setup
    public void fill() {
        ProxyServiceClient client = (request, correlationId) -> Mono.just(ServiceAnswers.ANSWER);
        delegation = ServiceAnswers.delegation(ServiceAnswers.settings(), client);
        bare = Caffeine.newBuilder()
                .maximumSize(10_000)
                .expireAfter(Expiry.writing((Object key, Object value) -> Duration.ofHours(1)))
                .build();
        for (int i = 0; i < EXCHANGES; i++) {
            ExchangeId exchange = ExchangeId.of("exchange-" + i);
            targets[i] = new ProxyTarget(exchange, ConnectionType.HTTP, "api.example.org", 443);
            keys[i] = new AnswerKey(exchange, ConnectionType.HTTP, "");
            Answer answer = delegation.answers().ask(targets[i]).block();
            bare.put(keys[i], answer);
        }
    }

    @TearDown
    public void close() {
        delegation.close();
    }

    @Benchmark
    public Object bareCaffeine() {
        return bare.getIfPresent(keys[turn++ & (EXCHANGES - 1)]);
    }

    @Benchmark
    public Answer ours() {
        return delegation.answers().cached(targets[turn++ & (EXCHANGES - 1)]);
    }
}
