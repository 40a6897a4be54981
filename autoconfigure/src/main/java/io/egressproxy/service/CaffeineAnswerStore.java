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
import java.util.function.BiConsumer;
import java.util.function.BiPredicate;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;

/** Answers in a Caffeine cache, each for its own time. */
public final class CaffeineAnswerStore implements AnswerStore {
    private final List<Consumer<Answer>> listeners = new CopyOnWriteArrayList<>();
    private final Cache<Object, Object> cache;
    private volatile long staleNanos;

    /**
     * An empty store.
     *
     * @param mostEntries how many answers are kept at most
     * @param staleIfError how long an answer is kept after it has expired
     */
    public CaffeineAnswerStore(int mostEntries, Duration staleIfError) {
        this.staleNanos = staleIfError.toNanos();
        this.cache = Caffeine.newBuilder()
                .maximumSize(mostEntries)
                .expireAfter(new TimeToLive())
                .ticker(System::nanoTime)
                .scheduler(Scheduler.systemScheduler())
                .recordStats()
                .removalListener(this::removed)
                .build();
    }

    /** Each answer's own time; and what a look-up knows of the time is noted on the answer. */
    private final class TimeToLive implements Expiry<Object, Object> {
        @Override
        public long expireAfterCreate(Object key, Object value, long currentTime) {
            return Math.max(0, ((Answer) value).expiresAtNanos() + staleNanos - currentTime);
        }

        @Override
        public long expireAfterUpdate(Object key, Object value, long currentTime, long currentDuration) {
            return expireAfterCreate(key, value, currentTime);
        }

        @Override
        public long expireAfterRead(Object key, Object value, long currentTime, long currentDuration) {
            ((Answer) value).seenAt(currentTime);
            return currentDuration;
        }
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
    public void removeIf(BiPredicate<AnswerKey, Answer> which) {
        cache.asMap().entrySet().removeIf(entry -> which.test((AnswerKey) entry.getKey(), (Answer) entry.getValue()));
    }

    @Override
    public void forEach(BiConsumer<AnswerKey, Answer> visitor) {
        cache.asMap().forEach((key, answer) -> visitor.accept((AnswerKey) key, (Answer) answer));
    }

    @Override
    public void limit(int mostEntries, Duration staleIfError) {
        staleNanos = staleIfError.toNanos();
        cache.policy().eviction().ifPresent(eviction -> eviction.setMaximum(mostEntries));
    }

    @Override
    public boolean leadsTo(ProxyUrl proxy) {
        return cache.asMap().values().stream().anyMatch(answer -> ((Answer) answer).leadsTo(proxy));
    }

    @Override
    public Disposable onForgotten(Consumer<Answer> listener) {
        listeners.add(listener);
        return () -> listeners.remove(listener);
    }
}
