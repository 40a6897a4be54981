package io.egressproxy.settings;

import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * One thing that is wrong with the settings.
 *
 * @param property the property, for example {@code proxy.default.http.url}
 * @param message what is wrong and what to write instead; shows no secret
 * @param origin where the property was set (file and line, environment variable), or null if that is not known
 */
public record SettingsProblem(String property, String message, @Nullable String origin) {
    private static final Pattern NAME = Pattern.compile("[A-Za-z0-9._-]{1,64}");

    /**
     * A value that should be a name, for a message.
     *
     * @param value what was written
     * @return the same, unless it has other characters than names have, and could be a secret in the wrong place
     */
    public static String shown(String value) {
        return NAME.matcher(value).matches() ? value : "***";
    }

    @Override
    public String toString() {
        return property + " " + message + (origin == null ? "" : " (" + origin + ")");
    }
}
