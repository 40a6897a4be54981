package io.egressproxy;

import java.time.Instant;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Puts changed settings in force while the application runs. A bean of this type is there for whatever hears of a change, such as a listener for
 * refresh events; actuator's endpoint {@code proxies} calls it as well. Thread-safe.
 */
public interface ProxyReload {

    /**
     * Reads the settings again, from the environment and its files, and puts them in force as a whole; what is known of proxies that
     * stay is kept. Settings that are wrong change nothing. Blocks while files are read.
     *
     * @return false if they were rejected, {@link #state()} says why
     */
    boolean reload();

    /**
     * What came of the last reload.
     *
     * @return its state
     */
    State state();

    /**
     * What came of the last reload.
     *
     * @param rejected whether settings older than those that were read last are in force
     * @param time when the last reload was; null if there was none
     * @param problems why it was rejected, each with its place; no secrets
     * @param needRestart properties that have changed and take effect with the next start only
     */
    record State(boolean rejected, @Nullable Instant time, List<String> problems, List<String> needRestart) {

        /** Before any reload. */
        public static final State INITIAL = new State(false, null, List.of(), List.of());

        /** A state whose lists are copied. */
        public State {
            problems = List.copyOf(problems);
            needRestart = List.copyOf(needRestart);
        }
    }
}
