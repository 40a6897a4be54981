package io.egressproxy.routing;

import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyReload;
import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.SettingsProblem;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Supplier;
import java.util.function.UnaryOperator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Changes the settings at run time: everything is worked out and checked first, by each part that depends on them, and only then put in force.
 * Thread-safe; one change at a time.
 */
public final class SettingsReload implements ProxyReload {
    private static final Logger log = LoggerFactory.getLogger(SettingsReload.class);

    private final Supplier<ProxySettings> inForce;
    private final Supplier<ProxySettings> source;
    private final UnaryOperator<List<SettingsProblem>> located;
    private final List<Part> parts;
    private final ProxyEventListener events;
    private final Clock clock;
    private volatile State state = State.INITIAL;

    /** Something that depends on the settings. */
    @FunctionalInterface
    public interface Part {
        /**
         * Works out what other settings mean. Changes nothing as yet.
         *
         * @param next the settings
         * @return how to go on
         * @throws InvalidProxySettingsException if they cannot be put in force
         */
        Change prepare(ProxySettings next);
    }

    /** A change that has been worked out. */
    public interface Change {
        /** Puts it in force. Cannot fail. */
        void apply();

        /** It will not be put in force, since another part cannot. */
        default void discard() {}
    }

    /**
     * A reload that has not happened yet.
     *
     * @param inForce the settings in force
     * @param source reads settings again; {@link InvalidProxySettingsException} if they are wrong
     * @param located says where the settings stand that problems are about, as they were read last
     * @param parts what depends on them, in the order in which they are to be put in force
     * @param events told of each reload
     * @param clock what time it is
     */
    public SettingsReload(
            Supplier<ProxySettings> inForce,
            Supplier<ProxySettings> source,
            UnaryOperator<List<SettingsProblem>> located,
            List<Part> parts,
            ProxyEventListener events,
            Clock clock) {
        this.inForce = inForce;
        this.source = source;
        this.located = located;
        this.parts = List.copyOf(parts);
        this.events = events;
        this.clock = clock;
    }

    @Override
    public State state() {
        return state;
    }

    @Override
    public synchronized boolean reload() {
        ProxySettings before = inForce.get();
        List<Change> changes = new ArrayList<>();
        List<String> needRestart;
        try {
            ProxySettings read = source.get();
            needRestart = needRestart(before, read);
            ProxySettings next = read.toBuilder()
                    .enabled(before.enabled())
                    .transparent(before.transparent())
                    .reload(before.reload())
                    .build();
            if (before.enabled() && !next.equals(before)) { // else nothing would use them
                prepare(next, changes);
            }
        } catch (InvalidProxySettingsException invalid) {
            changes.forEach(Change::discard);
            reject(invalid.problems());
            return false;
        } catch (RuntimeException
                | LinkageError unexpected) { // of somebody else's code, whose message may hold anything
            changes.forEach(Change::discard);
            reject(List.of(new SettingsProblem(
                    "proxy", "could not be read: " + unexpected.getClass().getName(), null)));
            return false;
        }
        if (!changes.stream().map(SettingsReload::apply).reduce(true, Boolean::logicalAnd)) {
            reject(List.of(new SettingsProblem("proxy", "is in force in parts only; see the log, and restart", null)));
            return false;
        }
        state = new State(false, clock.instant(), List.of(), needRestart);
        if (!needRestart.isEmpty()) {
            log.warn("These take effect with the next start only: {}", String.join(", ", needRestart));
        }
        events.reloaded(changes.isEmpty() ? "unchanged" : "applied");
        return true;
    }

    /** Asks each part, so that all that is wrong is said at once. */
    private void prepare(ProxySettings next, List<Change> changes) {
        List<SettingsProblem> problems = new ArrayList<>();
        for (Part part : parts) {
            try {
                changes.add(part.prepare(next));
            } catch (InvalidProxySettingsException invalid) {
                problems.addAll(invalid.problems());
            } catch (RuntimeException | LinkageError unexpected) {
                if (problems.isEmpty()) { // otherwise it comes of what is wrong already
                    throw unexpected;
                }
            }
        }
        if (!problems.isEmpty()) {
            throw new InvalidProxySettingsException(located.apply(problems));
        }
    }

    /** What one part cannot do must not keep the others from what has been decided. */
    private static boolean apply(Change change) {
        try {
            change.apply();
            return true;
        } catch (RuntimeException | LinkageError unexpected) {
            log.error("A part of the changed proxy settings is not in force", unexpected);
            return false;
        }
    }

    private void reject(List<SettingsProblem> problems) {
        List<String> texts = problems.stream().map(SettingsProblem::toString).toList();
        state = new State(true, clock.instant(), texts, List.of());
        log.atWarn()
                .addKeyValue("problems", texts.size())
                .log(
                        "The changed proxy settings are wrong, and those before stay in force:\n- {}",
                        String.join("\n- ", texts));
        events.reloaded("rejected");
    }

    private static List<String> needRestart(ProxySettings before, ProxySettings next) {
        List<String> changed = new ArrayList<>();
        if (before.enabled() != next.enabled()) {
            changed.add("proxy.enabled");
        }
        if (!before.enabled()) {
            return changed; // all the others do so, too
        }
        if (before.transparent() != next.transparent()) {
            changed.add("proxy.transparent");
        }
        if (!Objects.equals(before.reload(), next.reload())) {
            changed.add("proxy.reload");
        }
        return changed;
    }
}
