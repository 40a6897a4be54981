package io.egressproxy.service;

import io.egressproxy.ProxyUrl;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.BiConsumer;
import java.util.function.BiPredicate;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;

/** One lock; used where Caffeine is not there. */
final class PlainAnswerStore implements AnswerStore {
    private static final float LOAD_FACTOR = 0.75f;

    private int mostEntries;
    private final Map<AnswerKey, Answer> answers = new LinkedHashMap<>(16, LOAD_FACTOR, true);
    private final List<Consumer<Answer>> listeners = new CopyOnWriteArrayList<>();

    PlainAnswerStore(int mostEntries) {
        this.mostEntries = mostEntries;
    }

    @Override
    public synchronized @Nullable Answer get(AnswerKey key) {
        Answer answer = answers.get(key);
        if (answer != null) {
            answer.seenAt(System.nanoTime());
        }
        return answer;
    }

    @Override
    public void put(AnswerKey key, Answer answer) {
        List<Answer> eldest = new ArrayList<>(0);
        synchronized (this) {
            answers.put(key, answer);
            Iterator<Answer> inOrderOfUse = answers.values().iterator();
            while (answers.size() > mostEntries) {
                eldest.add(inOrderOfUse.next());
                inOrderOfUse.remove();
            }
        }
        eldest.forEach(this::forgotten);
    }

    @Override
    public void remove(AnswerKey key, Answer answer) {
        boolean removed;
        synchronized (this) {
            removed = answers.remove(key, answer);
        }
        if (removed) {
            forgotten(answer);
        }
    }

    @Override
    public void removeIf(BiPredicate<AnswerKey, Answer> which) {
        List<Answer> removed = new ArrayList<>();
        synchronized (this) {
            answers.entrySet()
                    .removeIf(entry -> which.test(entry.getKey(), entry.getValue()) && removed.add(entry.getValue()));
        }
        removed.forEach(this::forgotten);
    }

    @Override
    public void forEach(BiConsumer<AnswerKey, Answer> visitor) {
        Map<AnswerKey, Answer> copy;
        synchronized (this) {
            copy = new LinkedHashMap<>(answers);
        }
        copy.forEach(visitor);
    }

    private void forgotten(Answer answer) {
        listeners.forEach(listener -> listener.accept(answer));
    }

    @Override
    public synchronized void limit(int most, Duration staleIfError) {
        mostEntries = most; // what is too many goes with the next that comes
    }

    @Override
    public synchronized boolean leadsTo(ProxyUrl proxy) {
        return answers.values().stream().anyMatch(answer -> answer.leadsTo(proxy));
    }

    @Override
    public Disposable onForgotten(Consumer<Answer> listener) {
        listeners.add(listener);
        return () -> listeners.remove(listener);
    }
}
