import { defineConfig } from 'pg-ebb'

export default defineConfig({
  policies: { 'public.events': { keep: '90 days', archive: 's3://audit/events' } },
})
