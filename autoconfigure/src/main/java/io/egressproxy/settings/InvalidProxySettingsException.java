package io.egressproxy.settings;

import java.util.List;
import java.util.stream.Collectors;

/** Settings that cannot be used. The message has every problem found and shows no secret. */
public final class InvalidProxySettingsException extends IllegalArgumentException {
    private final transient List<SettingsProblem> problems;

    /**
     * Wrong settings.
     *
     * @param problems what is wrong, at least one thing
     */
    public InvalidProxySettingsException(List<SettingsProblem> problems) {
        super("invalid proxy settings: "
                + problems.stream().map(SettingsProblem::toString).collect(Collectors.joining("; ")));
        this.problems = List.copyOf(problems);
    }

    /**
     * What is wrong.
     *
     * @return every problem found
     */
    public List<SettingsProblem> problems() {
        return problems;
    }
}
