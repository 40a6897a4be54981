package io.egressproxy.service;

import io.egressproxy.ProxyUrl;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/** One lock; used where Caffeine is not there. */
final class PlainAnswerStore implements AnswerStore {
    private static final float LOAD_FACTOR = 0.75f;

    private final int mostEntries;
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
        Answer eldest = null;
        synchronized (this) {
            answers.put(key, answer);
            if (answers.size() > mostEntries) {
                Iterator<Answer> inOrderOfUse = answers.values().iterator();
                eldest = inOrderOfUse.next();
                inOrderOfUse.remove();
            }
        }
        if (eldest != null) {
            forgotten(eldest);
        }
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
    public void removeIf(Predicate<Answer> which) {
        List<Answer> removed = new ArrayList<>();
        synchronized (this) {
            answers.values().removeIf(answer -> which.test(answer) && removed.add(answer));
        }
        removed.forEach(this::forgotten);
    }

    private void forgotten(Answer answer) {
        listeners.forEach(listener -> listener.accept(answer));
    }

    @Override
    public synchronized boolean leadsTo(ProxyUrl proxy) {
        return answers.values().stream().anyMatch(answer -> answer.leadsTo(proxy));
    }

    @Override
    public void onForgotten(Consumer<Answer> listener) {
        listeners.add(listener);
    }
}
