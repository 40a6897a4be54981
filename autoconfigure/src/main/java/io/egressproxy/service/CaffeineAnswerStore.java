package io.egressproxy.service;

import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import com.github.benmanes.caffeine.cache.Expiry;
import com.github.benmanes.caffeine.cache.RemovalCause;
import com.github.benmanes.caffeine.cache.Scheduler;
import io.egressproxy.ProxyUrl;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** Answers in a Caffeine cache, each for its own time. */
public final class CaffeineAnswerStore implements AnswerStore {
    private final List<Consumer<Answer>> listeners = new CopyOnWriteArrayList<>();
    private final Cache<Object, Object> cache;

    /**
     * An empty store.
     *
     * @param mostEntries how many answers are kept at most
     * @param staleIfError how long an answer is kept after it has expired
     */
    public CaffeineAnswerStore(int mostEntries, Duration staleIfError) {
        long stale = staleIfError.toNanos();
        this.cache = Caffeine.newBuilder()
                .maximumSize(mostEntries)
                .expireAfter(Expiry.writing(
                        (Object key, Object answer) -> Duration.ofNanos(((Answer) answer).ttlNanos() + stale)))
                .scheduler(Scheduler.systemScheduler())
                .executor(Runnable::run)
                .recordStats()
                .removalListener(this::removed)
                .build();
    }

    private void removed(@Nullable Object key, @Nullable Object answer, RemovalCause cause) {
        if (answer instanceof Answer forgotten && cause != RemovalCause.REPLACED) {
            listeners.forEach(listener -> listener.accept(forgotten));
        }
    }

    /**
     * The cache itself, for a cache manager.
     *
     * @return keys of {@link AnswerKey}, values of {@link Answer}
     */
    public Cache<Object, Object> cache() {
        return cache;
    }

    @Override
    public @Nullable Answer get(AnswerKey key) {
        return (Answer) cache.getIfPresent(key);
    }

    @Override
    public void put(AnswerKey key, Answer answer) {
        cache.put(key, answer);
    }

    @Override
    public void remove(AnswerKey key, Answer answer) {
        cache.asMap().remove(key, answer);
    }

    @Override
    public void removeIf(Predicate<Answer> which) {
        cache.asMap().values().removeIf(answer -> which.test((Answer) answer));
    }

    @Override
    public boolean leadsTo(ProxyUrl proxy) {
        return cache.asMap().values().stream().anyMatch(answer -> ((Answer) answer).leadsTo(proxy));
    }

    @Override
    public void onForgotten(Consumer<Answer> listener) {
        listeners.add(listener);
    }
}
