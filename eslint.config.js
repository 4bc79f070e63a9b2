import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  { ignores: ['build', 'dist', 'node_modules', 'coverage', '.versions', '.ebb-test-*'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // The parameters a callback must take but does not need, and what is taken out of an object to leave the rest.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      // A run must never go on without the promise it started.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      // An `async` function without `await` is how one implements an asynchronous interface at once.
      '@typescript-eslint/require-await': 'off',
    },
  },
  // Examples are of a project of their own: they import the package, which need not be built here.
  { files: ['docs/examples/**/*.ts'], extends: [tseslint.configs.disableTypeChecked] },
  {
    files: ['**/*.js'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: {
      globals: {
        process: 'readonly',
        console: 'readonly',
        URL: 'readonly',
        performance: 'readonly',
        AbortController: 'readonly',
        fetch: 'readonly',
      },
    },
  },
)
