package io.egressproxy.service;

import io.egressproxy.ProxyUrl;
import java.time.Duration;
import java.util.function.BiConsumer;
import java.util.function.BiPredicate;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import reactor.core.Disposable;

/**
 * Where answers are kept: bounded, thread-safe, and it may forget any of them at any time. It notes on each answer that it gives how
 * old that is.
 */
public sealed interface AnswerStore permits CaffeineAnswerStore, PlainAnswerStore {

    /**
     * The answer that is kept.
     *
     * @param key what it is for
     * @return the answer, which may have expired, or null
     */
    @Nullable
    Answer get(AnswerKey key);

    /**
     * Keeps an answer instead of the one before.
     *
     * @param key what it is for
     * @param answer the answer
     */
    void put(AnswerKey key, Answer answer);

    /**
     * Forgets exactly this answer.
     *
     * @param key what it is for
     * @param answer what must not have been replaced meanwhile
     */
    void remove(AnswerKey key, Answer answer);

    /**
     * Forgets answers.
     *
     * @param which those to forget, by what they are for and by themselves
     */
    void removeIf(BiPredicate<AnswerKey, Answer> which);

    /**
     * Shows each answer that is kept, expired ones included.
     *
     * @param visitor gets them in any order; must not block
     */
    void forEach(BiConsumer<AnswerKey, Answer> visitor);

    /**
     * Keeps others than before.
     *
     * @param mostEntries how many answers are kept at most
     * @param staleIfError how long an answer is kept after it has expired
     */
    void limit(int mostEntries, Duration staleIfError);

    /**
     * Whether any answer is kept that leads to a proxy.
     *
     * @param proxy the proxy
     * @return true if there is one, which may have expired
     */
    boolean leadsTo(ProxyUrl proxy);

    /**
     * Has somebody told when an answer is forgotten, and not replaced.
     *
     * @param listener gets the answer; must not block
     * @return ends that
     */
    Disposable onForgotten(Consumer<Answer> listener);

    /**
     * A store without any library: the one used least recently goes first, and one that has expired only when it is replaced.
     *
     * @param mostEntries how many answers are kept at most
     * @return an empty store
     */
    static AnswerStore plain(int mostEntries) {
        return new PlainAnswerStore(mostEntries);
    }
}
